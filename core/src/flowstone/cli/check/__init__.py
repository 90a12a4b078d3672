"""`flowstone plugin check`: how far a package has come with the suites."""
