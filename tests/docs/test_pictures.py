from __future__ import annotations

from typing import Any

from flowstone.testing import flowstone_test_harness

from .pages import ROOT, blocks


def test_the_picture_of_a_graph_is_what_the_page_draws() -> None:
    """Write docs/graphs.svg anew where this fails, and look at it."""
    page = (ROOT / "docs/graphs.md").read_text("utf-8")
    code = next(block.text for block in blocks(page) if block.language == "python")
    names: dict[str, Any] = {"__name__": "page"}
    with flowstone_test_harness():
        exec(code.replace('graph.save("etl.svg")', ""), names)
    assert f"{names['graph'].svg()}\n" == (ROOT / "docs/graphs.svg").read_text("utf-8")
