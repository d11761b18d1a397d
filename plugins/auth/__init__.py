"""Who is asking: one authenticator a module, what they share, and the authorizer."""
