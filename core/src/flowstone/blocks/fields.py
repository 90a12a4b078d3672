"""Types of fields, under their module name in Prefect."""

from flowstone.secrets.values import SecretDict

__all__ = ["SecretDict"]
