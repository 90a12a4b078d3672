"""The commands `flowstone plugin check` and `flowstone plugin new`."""
