"""One suite for each port and interface; join by one subclass and one fixture."""
