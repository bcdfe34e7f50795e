"""What a change of the repository does: to whom, whether it goes through, and what is said of who is connected now."""
