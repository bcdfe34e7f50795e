"""Who may do what with which resource, worked out from the manifests of one revision."""
