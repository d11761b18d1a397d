"""What is true: tables and synchronous functions over them. No network, no event loop, no web."""
