"""Artifacts: links, texts, tables, images and progress that runs publish for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstone.plugins.exports import lazy_exports

if TYPE_CHECKING:
    from flowstone.artifacts.create import (
        Artifact,
        ImageArtifact,
        LinkArtifact,
        MarkdownArtifact,
        ProgressArtifact,
        TableArtifact,
        acreate_image_artifact,
        acreate_link_artifact,
        acreate_markdown_artifact,
        acreate_progress_artifact,
        acreate_table_artifact,
        aupdate_progress_artifact,
        create_image_artifact,
        create_link_artifact,
        create_markdown_artifact,
        create_progress_artifact,
        create_table_artifact,
        update_progress_artifact,
    )

__all__ = [
    "Artifact",
    "ImageArtifact",
    "LinkArtifact",
    "MarkdownArtifact",
    "ProgressArtifact",
    "TableArtifact",
    "acreate_image_artifact",
    "acreate_link_artifact",
    "acreate_markdown_artifact",
    "acreate_progress_artifact",
    "acreate_table_artifact",
    "aupdate_progress_artifact",
    "create_image_artifact",
    "create_link_artifact",
    "create_markdown_artifact",
    "create_progress_artifact",
    "create_table_artifact",
    "update_progress_artifact",
]

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            ".create": (
                "Artifact",
                "ImageArtifact",
                "LinkArtifact",
                "MarkdownArtifact",
                "ProgressArtifact",
                "TableArtifact",
                "acreate_image_artifact",
                "acreate_link_artifact",
                "acreate_markdown_artifact",
                "acreate_progress_artifact",
                "acreate_table_artifact",
                "aupdate_progress_artifact",
                "create_image_artifact",
                "create_link_artifact",
                "create_markdown_artifact",
                "create_progress_artifact",
                "create_table_artifact",
                "update_progress_artifact",
            ),
        },
    )
