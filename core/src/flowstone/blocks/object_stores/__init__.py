"""Object stores: the interface to files elsewhere, and local directories."""
