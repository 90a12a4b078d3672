"""The report of a run: the data, its quality, the model, and the course of the run."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from docs.demo.places import find_home
from jinja2 import Environment, FileSystemLoader, StrictUndefined

if TYPE_CHECKING:
    from flowstone import Flow
    from flowstone.records.runs import Run
    from flowstone.states import State

Json = dict[str, Any]

TEMPLATE = Path(__file__).with_name("report.html")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
#: The darkest cell of the heatmap stands for this share of late flights or more.
DARKEST = 0.5


def find_report() -> Path:
    """Return where the report is written."""
    return find_home() / "report.html"


def write_report(flow: Flow[..., Any], run: Run, state: State[Json]) -> None:
    """Write the report of a completed run; a hook of the flow."""
    story = state.result()
    page = render_report(story, _ask("show", run.id, "--all", "--json"), _draw(run.id))
    find_report().write_text(page, "utf-8")


def render_report(story: Json, run: Json, graph: str) -> str:
    """Return the page, which needs no other file and no network.

    Args:
        story: what the flow returned.
        run: the run as ``flowstone run show --json`` prints it.
        graph: its graph as an SVG picture.
    """
    environment = Environment(
        loader=FileSystemLoader(TEMPLATE.parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        percent=_format_percent, count=_format_count, took=_format_seconds, plain=_format_plain
    )
    return environment.get_template(TEMPLATE.name).render(
        story=story,
        run=run,
        graph=graph,
        months=MONTHS,
        cells=_shade(story["by_hour"]),
        hours=range(5, 24),
        lanes=_make_lanes(run),
        counts=_count_states(run),
        started=datetime.fromisoformat(run["started"]).astimezone(),
    )


def _shade(rows: list[Json]) -> dict[tuple[int, int], Json]:
    """Return the share of late flights by month and hour, with a shade from 0 to 100."""
    return {
        (row["month"], row["hour"]): {
            **row,
            "shade": min(100, round(100 * row["late_share"] / DARKEST)),
        }
        for row in rows
    }


def _make_lanes(run: Json) -> list[Json]:
    """Return one lane for the calls of each task, with bars in percent of the run's time."""
    start, whole = _read_time(run["started"]), max(run["duration_seconds"], 1e-9)
    lanes = []
    for unit, group in groupby(sorted(_flatten(run), key=_get_unit), key=_get_unit):
        bars = [
            {
                "left": 100 * (_read_time(call["started"] or call["created"]) - start) / whole,
                "width": 100 * (call["duration_seconds"] or 0) / whole,
                "state": _name_state(call),
                "title": f"{call['name']}: {call['state']['name']}, "
                f"{_format_seconds(call['duration_seconds'] or 0)}",
            }
            for call in sorted(group, key=lambda call: call["created"])
        ]
        ends = [bar["left"] + bar["width"] for bar in bars]
        lanes.append(
            {
                "name": unit,
                "bars": bars,
                "count": len(bars),
                "states": sorted({bar["state"] for bar in bars}),
                "start": min(bar["left"] for bar in bars),
                "seconds": (max(ends) - min(bar["left"] for bar in bars)) * whole / 100,
            }
        )
    return sorted(lanes, key=lambda lane: lane["start"])


def _get_unit(call: Json) -> str:
    """Return the name of the call's lane: its task, or the task that called it."""
    return str(call.get("lane", call["unit"]))


def _name_state(call: Json) -> str:
    """Return the state as one of the words that the page has a colour for."""
    if call["state"]["name"] == "Cached":
        return "cached"
    if call["state"]["type"] != "COMPLETED":
        return "failed"
    return "retried" if call["attempts"] > 1 else "completed"


def _count_states(run: Json) -> dict[str, int]:
    names = [_name_state(call) for call in _flatten(run)]
    return {name: names.count(name) for name in sorted(set(names))}


def _flatten(run: Json) -> list[Json]:
    """Return the calls of the last attempt, and what these called."""
    last = [
        call for call in run["children"] if call["attempt_of_parent"] in {None, run["attempts"]}
    ]
    below = [
        {**each, "lane": f"{call['unit']}: its nodes"} for call in last for each in _flatten(call)
    ]
    return [*last, *below]


def _ask(*words: str) -> Json:
    return json.loads(_call(*words))


def _draw(run_id: str) -> str:
    return _call("graph", run_id, "--format", "svg")


def _call(*words: str) -> str:
    command = [sys.executable, "-m", "flowstone", "run", *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _read_time(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _format_percent(share: float, digits: int = 0) -> str:
    return f"{100 * share:.{digits}f}%"


def _format_plain(value: object) -> str:
    """Return a number without insignificant digits, and anything else as it is."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def _format_count(number: float) -> str:
    return f"{number:,.0f}"


def _format_seconds(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
