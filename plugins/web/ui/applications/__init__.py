"""Applications: the list, one application's tabs, the editor."""
