"""The whole story on one machine: a Git repository, two targets and the daemon, for a person or as a tour by itself."""
