"""Who is let in as a host."""
