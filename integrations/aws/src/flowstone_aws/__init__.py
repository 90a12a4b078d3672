"""AWS for Flowstone."""
