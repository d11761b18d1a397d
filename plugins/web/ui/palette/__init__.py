"""Finding and doing things from everywhere."""
