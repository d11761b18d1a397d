"""This ROCI itself: its settings, and how it is."""
