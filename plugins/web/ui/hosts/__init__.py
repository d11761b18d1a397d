"""Hosts: the list, one host's tabs, and how another machine becomes one."""
