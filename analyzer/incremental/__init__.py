"""The next revision by what differs from one that is known, and what is kept of that between runs."""
