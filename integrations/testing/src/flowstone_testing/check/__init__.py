"""What `flowstone plugin check` runs in processes of its own, each on one package."""
