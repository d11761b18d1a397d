"""The link to hosts and both of its ends."""
