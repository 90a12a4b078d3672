"""Secrets: fields that hide them, references to them, and the vault that seals them."""
