"""Secrets: fields that mask them, references to them, and the vault that seals them."""
