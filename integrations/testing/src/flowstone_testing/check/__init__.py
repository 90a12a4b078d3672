"""The stages of `flowstone plugin check` that run in separate processes, on one package each."""
