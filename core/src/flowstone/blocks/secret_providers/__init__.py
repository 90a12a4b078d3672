"""Secret providers: the services that references name, and a secret as a block."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstone.plugins.exports import lazy_exports

if TYPE_CHECKING:
    from flowstone.blocks.secret_providers.local import EnvSecrets, FileSecrets
    from flowstone.blocks.secret_providers.provider import SecretStoreProvider
    from flowstone.blocks.secret_providers.secret import Secret
    from flowstone.blocks.secret_providers.secret_provider import SecretProvider

__all__ = ["EnvSecrets", "FileSecrets", "Secret", "SecretProvider", "SecretStoreProvider"]

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            ".local": ("EnvSecrets", "FileSecrets"),
            ".provider": ("SecretStoreProvider",),
            ".secret": ("Secret",),
            ".secret_provider": ("SecretProvider",),
        },
    )
