"""`flowstone limit`: manages concurrency and rate limits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from flowstone.cli.candidates import complete_limits
from flowstone.cli.commands import Commands
from flowstone.cli.output import emit, is_terminal, json_option, say, show
from flowstone.cli.views import Cell, Facts, Row, Table
from flowstone.cli.wording import format_ago, format_count, format_iso, format_process, format_time
from flowstone.context.current import services
from flowstone.errors import ObjectNotFound
from flowstone.records.limits import (
    KIND,
    Limit,
    check_limit,
    encode_limit,
    read_limit,
)

if TYPE_CHECKING:
    from flowstone.records.limits import Slot


@click.group(cls=Commands)
def limit() -> None:
    """Manage concurrency and rate limits, and show which runs hold their slots.

    Code takes slots of a limit with `concurrency(NAME)` and `rate_limit(NAME)`. A limit with the
    name tag:TAG applies to all task runs with that tag.
    """


@limit.command("ls")
@json_option
def list_limits(as_json: bool) -> None:
    """List limits, with the number of slots in use."""
    limits = _load_limits()
    used = services().slots.count_slots([each.name for each in limits])
    if as_json:
        emit([_describe(each, used[each.name]) for each in limits])
        return
    rows = [
        Row(
            (
                Cell(each.name, "bold"),
                Cell(f"{each.slots:,}"),
                Cell(_format_number(used[each.name]), _choose_style(each, used[each.name])),
                Cell(_format_decay(each)),
                Cell("yes" if each.active else "no", "" if each.active else "yellow"),
            )
        )
        for each in limits
    ]
    columns = ("name", "slots", "in use", "decay", "active")
    show(
        Table(columns, rows, empty="There are no limits yet.", right=frozenset({"slots", "in use"}))
    )


@limit.command("show")
@click.argument("name", shell_complete=complete_limits)
@json_option
def show_limit(name: str, as_json: bool) -> None:
    """Show a limit, and the holders of its slots."""
    found, now = _load_limit(name), services().clock.time()
    held = services().slots.list_slots([name])
    used = services().slots.count_slots([name])[name]
    if as_json:
        emit({**_describe(found, used), "holders": [_describe_slot(slot) for slot in held]})
        return
    facts = [
        ("limit", Cell(name, "bold")),
        ("slots", Cell(f"{found.slots:,}")),
        ("in use", Cell(_format_number(used), _choose_style(found, used))),
    ]
    if found.slot_decay_per_second:
        facts.append(("decay", Cell(_format_decay(found))))
    if not found.active:
        facts.append(("active", Cell("no: not enforced", "yellow")))
    show(Facts(facts), _make_table(held, now))


@limit.command("set")
@click.argument("name", shell_complete=complete_limits)
@click.option(
    "--slots", type=click.IntRange(min=0), metavar="N", required=True, help="The number of slots."
)
@click.option(
    "--decay-per-second",
    type=click.FloatRange(min=0),
    metavar="X",
    default=0.0,
    help="Make it a rate limit: used slots become free again at this rate.",
)
@click.option("--inactive", is_flag=True, help="Keep the limit, but don't enforce it.")
@json_option
def set_limit(
    name: str, slots: int, decay_per_second: float, inactive: bool, as_json: bool
) -> None:
    """Create or change a limit. Slots in use are not taken away."""
    made = check_limit(Limit(name, slots, not inactive, decay_per_second))
    services().documents.put(KIND, name, encode_limit(made))
    if as_json:
        emit(_describe(made, services().slots.count_slots([name])[name]))
        return
    rate = f", {_format_decay(made)}" if decay_per_second else ""
    off = ", and is not active" if inactive else ""
    say(f"The limit {name!r} has {format_count(slots, 'slot')}{rate}{off}.")


@limit.command("delete")
@click.argument("name", shell_complete=complete_limits)
@json_option
def delete_limit(name: str, as_json: bool) -> None:
    """Delete a limit. Runs that wait for its slots continue."""
    check_limit(_load_limit(name))
    services().documents.delete(KIND, name)
    if as_json:
        emit({"name": name, "deleted": True})
    else:
        say(f"The limit {name!r} is deleted.")


@limit.command("reset")
@click.argument("name", shell_complete=complete_limits)
@json_option
def reset_limit(name: str, as_json: bool) -> None:
    """Free all slots of a limit.

    This is rarely needed: the slots of a dead process are freed automatically. A process that is
    alive continues, and takes its slots again at its next renewal if there are free slots.
    """
    _load_limit(name)
    tokens = [slot.token for slot in services().slots.list_slots([name])]
    services().slots.give_back_slots(tokens)
    if as_json:
        emit({"name": name, "freed": len(tokens)})
    else:
        say(f"Freed the slots of {name!r}, from {format_count(len(tokens), 'holder')}.")


def _load_limits() -> list[Limit]:
    return [read_limit(each) for each in services().documents.find(KIND)]


def _load_limit(name: str) -> Limit:
    limits = _load_limits()
    found = next((each for each in limits if each.name == name), None)
    if found is None:
        raise ObjectNotFound(KIND, name, [each.name for each in limits])
    return found


def _describe(found: Limit, used: float) -> dict[str, object]:
    return {"name": found.name, **encode_limit(found), "in_use": round(used, 3)}


def _describe_slot(slot: Slot) -> dict[str, object]:
    return {
        "owner": slot.owner,
        "run_id": slot.run_id,
        "slots": slot.occupy,
        "process": slot.holder,
        "since": format_iso(slot.since),
        "until": format_iso(slot.until),
        "rate": slot.is_rate,
    }


def _make_table(held: list[Slot], now: float) -> Table:
    rows = [
        Row(
            (
                Cell(slot.owner, "bold"),
                Cell(f"{slot.occupy:,}"),
                Cell(format_ago(slot.since, now) if is_terminal() else format_time(slot.since)),
                Cell(format_time(slot.until)),
                Cell(format_process(slot.holder)),
            )
        )
        for slot in held
    ]
    columns = ("holder", "slots", "since", "until", "process")
    return Table(columns, rows, empty="No slot is in use.", right=frozenset({"slots"}))


def _format_number(used: float) -> str:
    return f"{round(used, 1):g}"


def _format_decay(found: Limit) -> str:
    decay = found.slot_decay_per_second
    return f"{decay:g} a second" if decay else ""


def _choose_style(found: Limit, used: float) -> str:
    return "yellow" if found.active and used >= found.slots else ""
