"""What CI systems may do, and did."""
