"""What is done: everything here is async and reaches the outside world."""
