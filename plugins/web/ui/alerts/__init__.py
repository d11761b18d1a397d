"""What is wrong, by which rules, who is told, and when nobody is."""
