"""Deployment roots: which files are deployed together, and what they are once kustomizations have been applied.

Everything here is a pure function over the files of a snapshot; nothing of the repository is executed.
"""
