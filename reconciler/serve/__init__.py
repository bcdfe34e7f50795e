"""The daemon's HTTP interface: health, the page, JSON for the command line, and the webhook."""
