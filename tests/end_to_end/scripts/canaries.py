"""Every installed block type, its secrets set, goes through what people do with blocks.

The word that all secrets begin with comes on standard input; the names of the blocks are printed.
"""

import json
import logging
import os
import pickle
import sys
import traceback
from base64 import b64encode
from contextlib import suppress
from inspect import isabstract
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, Secret, SecretBytes, SecretStr

from flowstone import catalog, flow, task
from flowstone.blocks import Block, Credentials, SecretDict
from flowstone.errors import BlockInvalid
from flowstone.logging import get_run_logger
from flowstone.task_runners import ProcessPoolTaskRunner
from flowstone.task_runners.messages import pack

WORD = sys.stdin.readline().strip() if __name__ == "__main__" else ""


def filled(kind: type[BaseModel]) -> Any:
    """Return a model with each secret set, and its required fields; a subclass of an interface."""
    if isabstract(kind):
        found = (each for each in kind.__subclasses__() if not isabstract(each))
        kind = max(found, key=lambda each: (len(find_credentials(each)), each.__name__))
    fields = {
        field.alias or name: value
        for name, field in kind.model_fields.items()
        if (value := make_value(name, field.annotation, f"{kind.__name__}.{name}")) is not None
        and (field.is_required() or secret_in(value))
    }
    try:
        return kind(**fields)
    except BlockInvalid:  # an optional field takes only some blocks
        return kind(**{name: fields[name] for name in fields if is_required(kind, name)})


def is_required(kind: type[BaseModel], name: str) -> bool:
    return any(
        field.is_required() and name in {key, field.alias}
        for key, field in kind.model_fields.items()
    )


def make_value(name: str, hint: Any, what: str) -> Any:
    """Return an example for a field; a key has to be 32 bytes in Base64, a command dbt's."""
    if name == "encryption_key":
        return SecretStr(b64encode(WORD.encode().ljust(32, b"-")[:32]).decode())
    if name == "basepath" and what.startswith("RemoteFileSystem"):
        return "memory://bucket/folder"
    if name == "expectations":
        return [{"type": "expect_column_to_exist", "kwargs": {"column": "id"}}]
    return ["dbt build"] if name == "commands" else example(hint, what)


def find_credentials(kind: type[BaseModel]) -> list[str]:
    return [name for name in kind.model_fields if "credentials" in name]


def secret_in(value: Any) -> bool:
    if isinstance(value, (SecretStr, SecretBytes, Secret, BaseModel)):
        return True
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return any(map(secret_in, inner))


def example(hint: Any, what: str) -> Any:
    text = f"{WORD}-{what}"
    origin, parts = get_origin(hint), get_args(hint)
    if origin in {Union, UnionType}:
        found = [example(part, what) for part in parts if part is not type(None)]
        return next((each for each in found if secret_in(each)), found[0] if found else None)
    if isinstance(hint, type) and issubclass(hint, SecretDict):
        return SecretDict({"key": text, "deep": {"list": [text]}})
    if hint is SecretBytes:
        return SecretBytes(text.encode())
    if hint is SecretStr or hint is Secret or origin is Secret or _is_secret(hint):
        return SecretStr(text) if hint is SecretStr else Secret(text)
    if origin is list:
        return [example(parts[0], what)]
    if origin is dict:
        return {"key": example(parts[1], what)}
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        return filled(hint)
    plain = {str: "plain", int: 1, float: 1.0, bool: True, Path: Path("plain"), bytes: b"plain"}
    return plain.get(hint) if isinstance(hint, type) else None


def _is_secret(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, Secret)


@task
def work(block: Block, log: bool) -> dict[str, str]:
    print("working with", block)
    if log:
        get_run_logger().debug("using %r", block)
    logging.getLogger("somebody").warning("%s %r", block, vars(block))
    own = Path("/proc/self")
    return {name: (own / name).read_text("utf-8", "replace") for name in ("cmdline", "environ")}


@task(persist_result=True)
def fail(block: Block) -> None:
    leak = clear(block)
    raise RuntimeError(f"{block!r} {vars(block)} {' '.join(leak)}")


@task(persist_result=True)
def keep(block: Block) -> Block:
    return block


def clear(block: Block) -> list[str]:
    from flowstone.secrets.walk import secret_texts

    return list(secret_texts(block))


@flow(log_prints=True, task_runner=ProcessPoolTaskRunner(max_workers=1))
def careful(blocks: list[Block]) -> list[dict[str, str]]:
    found = [work.submit(block, log=True).result() for block in blocks]
    for block in blocks:
        state = fail(block, return_state=True)
        get_run_logger().error("%s", state.message)
        if isinstance(block, Credentials):
            get_run_logger().info("%s", block.check().reason)
        assert keep.submit(block).result() == block
    return found


def main() -> None:
    types = [catalog.load("block", offer.name) for offer in catalog.offers("block")]
    blocks = [filled(kind) for kind in types]
    for block in blocks:
        block.save("canary")
        packet = pickle.dumps(block) + pack({"job": [block]})
        assert WORD.encode() not in packet, type(block)
        for wrong in ({"no_such_field": 1}, {**dict(block), "no_such_field": 1}):
            try:
                type(block)(**wrong)
            except Exception:
                sys.stderr.write(traceback.format_exc())
    secret = [block.block_type_slug() for block in blocks if any(WORD in t for t in clear(block))]
    for seen in careful(blocks):
        assert "FLOWSTONE" in seen["environ"] or seen["cmdline"]
        print(json.dumps(seen))
    with suppress(RuntimeError):
        fail(blocks[-1])
    print("SAVED", json.dumps([f"{block.block_type_slug()}/canary" for block in blocks]))
    print("SECRET", json.dumps(secret))
    print("PID", os.getpid())


if __name__ == "__main__":
    main()
