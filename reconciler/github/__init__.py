"""Holdfast as a GitHub Action: which revisions, what is said where, and the one comment. Run by action.yml."""
