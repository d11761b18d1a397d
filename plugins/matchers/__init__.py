"""Does a clause of a policy hold for the facts? Pure functions: a decision can be replayed and explained."""
