"""What the spine is made of besides roci.py: settings, store, web application, listeners. Imports `roci` only."""
