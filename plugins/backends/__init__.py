"""How an application is put on a host: backends plan steps and run none. Everything here is pure."""
