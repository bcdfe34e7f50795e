"""Who changed what between two revisions, by whose signature, and who may: what access policies are held against."""
