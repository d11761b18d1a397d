"""Containers of all hosts: the list, what they say, terminals in them."""
