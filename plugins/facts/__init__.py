"""What is known of a candidate, gathered before policies are asked. May wait; never raises for what is unreachable."""
