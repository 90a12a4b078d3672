"""The secrets of every installed block type are nowhere in what is kept, printed or passed on."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from pathlib import Path

import pytest

from flowstone import catalog

from .conftest import SCRIPTS

COMMAND = str(Path(sys.executable).with_name("flowstone"))
#: What is asked of every saved block, and of the runs that worked with them. New ways for a block
#: to leave the store are added here.
OF_EACH: tuple[tuple[str, ...], ...] = (
    ("block", "show"),
    ("block", "show", "--json"),
    ("block", "check"),
)
#: The command with these words, for each of the lines of standard input.
EACH = """
import sys
from flowstone.cli import main
words = sys.argv[1:]
for ref in sys.stdin.read().split():
    print(f"=== {ref}", flush=True)
    sys.argv[1:] = [*words, ref]
    try:
        main()
    except SystemExit:
        pass
"""
OF_ALL: tuple[tuple[str, ...], ...] = (
    ("block", "ls"),
    ("block", "ls", "--json"),
    ("export",),
    ("run", "ls", "--json"),
    ("run", "show", "careful"),
    ("run", "show", "careful", "--json"),
    ("run", "logs", "careful"),
    ("run", "graph", "careful"),
)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks into /proc")
def test_no_canary_gets_out(tmp_path: Path) -> None:
    word = f"canary{secrets.token_hex(8)}"
    home = tmp_path / "home"
    env = {
        **{name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ},
        "HOME": str(tmp_path),
        "FLOWSTONE_HOME": str(home),
        "FLOWSTONE_LOGGING_LEVEL": "DEBUG",
        "FLOWSTONE_LOGGING_EXTRA_LOGGERS": "root",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_MAX_ATTEMPTS": "1",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
    }

    def run(*words: str, given: str = "") -> str:
        done = subprocess.run(
            words, env=env, cwd=tmp_path, input=given, capture_output=True, text=True, check=False
        )
        return f"{done.stdout}\n{done.stderr}"

    told = run(sys.executable, str(SCRIPTS / "canaries.py"), given=f"{word}\n")
    assert "PID" in told, told
    lines = dict(
        line.split(" ", 1) for line in told.splitlines() if line[:6] in {"SAVED ", "SECRET"}
    )
    saved = json.loads(lines["SAVED"])
    assert len(saved) == len(catalog.offers("block"))
    assert {"secret", "aws-credentials"} <= set(json.loads(lines["SECRET"]))
    outputs = {"the program": told}
    for words in OF_EACH:  # in one process: to start one for each of 70 blocks takes a minute
        shown = run(sys.executable, "-c", EACH, *words, given="\n".join(saved))
        assert all(f"=== {ref}\n" in shown for ref in saved), shown
        outputs[f"{' '.join(words)} …"] = shown
    for words in OF_ALL:
        outputs[" ".join(words)] = run(COMMAND, *words)
    assert not [name for name, text in outputs.items() if word in text]
    kept = {path: path.read_bytes() for path in home.rglob("*") if path.is_file()}
    assert not [path for path, content in kept.items() if word.encode() in content]
    everything = b"".join(kept.values())
    assert b"********" in everything  # the lines were kept, with masks in them
    assert b"aws-credentials" in everything
