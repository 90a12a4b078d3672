"""Where submitted calls run."""
