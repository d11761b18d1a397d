"""How ROCI sounds to clients: one dialect each, and what they share."""
