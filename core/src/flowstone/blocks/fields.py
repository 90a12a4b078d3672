"""Types of fields, under the name that users look for them by."""

from flowstone.secrets.values import SecretDict

__all__ = ["SecretDict"]
