"""What a host will do, and nothing else: the commands that steps may name."""
