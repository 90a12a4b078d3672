"""A new package with one planted flaw: each is found, with a hint."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from flowstone_testing.cli.template import Names, copy
from flowstone_testing.programs import COMMAND

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

pytestmark = [pytest.mark.slow, pytest.mark.check]  # the kit, which few changes touch

TRANSLATED = "with self.client() as client, translate_errors(str(client.base_url)):"
TWIN = """
@task
async def aacme_whoami(credentials: AcmeCredentials) -> str:
    \"\"\"Do as `acme_whoami`.\"\"\"
    return acme_whoami.fn(credentials)
"""
CLOSURE = """
def _make():
    lock = __import__("threading").Lock()

    @task
    def acme_whoami(credentials: AcmeCredentials) -> str:
        with lock:
            return credentials.whoami()

    return acme_whoami


acme_whoami = _make()
"""


@dataclass(frozen=True)
class Flaw:
    """One edit of a file, the standard test that must find it, and text of the hint."""

    file: str
    old: str
    new: str
    test: str
    words: str


FLAWS = {
    "an async task that stands alone": Flaw(
        "tasks.py",
        "def acme_whoami(",
        "async def acme_whoami(",
        "test_an_async_task_does_not_stand_alone",
        "Write the named sync task",
    ),
    "a twin that blocks": Flaw(
        "tasks.py",
        "    return credentials.whoami()\n",
        f"    return credentials.whoami()\n\n{TWIN}",
        "test_the_async_twin_lets_others_run",
        "credentials.py:",  # where it blocks
    ),
    "an async method that blocks": Flaw(
        "credentials.py",
        "    def _check(self)",
        "    async def awhoami(self) -> str:\n        return self.whoami()\n\n    def _check(self)",
        "test_its_coroutines_let_others_run",
        "Await it, or use asyncio.to_thread",
    ),
    "an error of the vendor's": Flaw(
        "credentials.py",
        TRANSLATED,
        "with self.client() as client:",
        "test_only_errors_of_ours_come_out",
        "whoami raised httpx.ConnectError: translate it",
    ),
    "a connection that is left open": Flaw(
        "credentials.py",
        TRANSLATED,
        "client = self.client()\n        with translate_errors(str(client.base_url)):",
        "test_it_leaves_nothing_open",
        "sockets",
    ),
    "a thread that is left": Flaw(
        "credentials.py",
        TRANSLATED,
        "import threading\n"
        "        threading.Thread(target=threading.Event().wait, daemon=True).start()\n"
        f"        {TRANSLATED}",
        "test_it_leaves_nothing_open",
        "threads",
    ),
    "a password in a URL": Flaw(
        "credentials.py",
        'if url is not None and "@" in urlsplit(url).netloc:',
        "if False:",
        "test_a_url_holds_no_password",
        "Refuse a password in the named fields",
    ),
    "a dependency without a lower bound": Flaw(
        "pyproject.toml",
        '"httpx>=0.28"',
        '"httpx<1"',
        "test_dependencies_have_lower_bounds",
        "Require the oldest tested version",
    ),
    "a dependency that is not declared": Flaw(
        "pyproject.toml",
        '  "httpx>=0.28",\n',
        "",
        "test_what_is_imported_is_declared",
        "Add the named distributions to `dependencies`",
    ),
    "a secret in a repr": Flaw(
        "credentials.py",
        "    def _check(self)",
        "    def __repr__(self) -> str:\n"
        "        return str(self.token and self.token.get_secret_value())\n\n"
        "    def _check(self)",
        "test_secrets_are_masked_where_a_block_is_shown",
        "Look for a `__repr__`",
    ),
    "an SDK in plugin.py": Flaw(
        "plugin.py",
        "from flowstone.plugins",
        "import httpx\n\nfrom flowstone.plugins",
        "test_listing_loads_no_sdk",
        "import them where they are used",
    ),
    "a task that can't be pickled": Flaw(
        "tasks.py",
        "    return credentials.whoami()\n",
        f"    return credentials.whoami()\n\n{CLOSURE}",
        "test_it_can_be_sent_to_another_process",
        "what to look at",
    ),
    "a wrong hint": Flaw(
        "tasks.py",
        "-> str:",
        "-> int:",
        "test_a_call_is_a_run",
        "returned a str",
    ),
    "a name that another package has": Flaw(
        "plugin.py",
        '"acme-credentials": "',
        '"secret": "flowstone_acme.credentials:AcmeCredentials", "acme-credentials": "',
        "test_it_loads",
        "another package has the same name",
    ),
}


class Package:
    """A package's source tree, with the metadata of an editable installation."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        own = {"PYTHONPATH": str(folder / "src"), "PYTEST_DEBUG_TEMPROOT": str(folder.parent)}
        self.environ = {**os.environ, **own}

    def plant(self, flaw: Flaw) -> None:
        file = self.folder / flaw.file
        if not file.exists():
            file = self.folder / "src/flowstone_acme" / flaw.file
        text = file.read_text("utf-8")
        assert text.count(flaw.old) == 1, flaw.old
        file.write_text(text.replace(flaw.old, flaw.new), "utf-8")

    def install(self) -> None:
        project = tomllib.loads((self.folder / "pyproject.toml").read_text("utf-8"))["project"]
        info = self.folder / "src/flowstone_acme-0.1.0.dist-info"
        info.mkdir()
        about = ["Metadata-Version: 2.1", f"Name: {project['name']}", "Version: 0.1.0"]
        about += [f"Requires-Dist: {line}" for line in project["dependencies"]]
        (info / "METADATA").write_text("\n".join([*about, ""]))
        (info / "entry_points.txt").write_text("[flowstone]\nacme = flowstone_acme.plugin\n")
        source = {"url": self.folder.as_uri(), "dir_info": {"editable": True}}
        (info / "direct_url.json").write_text(json.dumps(source))

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            words,
            cwd=self.folder,
            env=self.environ,
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fresh") / "flowstone-acme"
    copy(Names.of("flowstone-acme"), folder, {"interface": "none"}, ask=False)
    return folder


@pytest.fixture
def make(fresh: Path, tmp_path: Path) -> Callable[..., Package]:
    def make(*flaws: Flaw) -> Package:
        package = Package(shutil.copytree(fresh, tmp_path / "flowstone-acme"))
        for flaw in flaws:
            package.plant(flaw)
        package.install()
        return package

    return make


@pytest.mark.parametrize("name", FLAWS)
def test_a_flaw_is_found_with_what_to_do(make: Callable[..., Package], name: str) -> None:
    flaw = FLAWS[name]
    words = ("-q", "-p", "no:cacheprovider", "-k", flaw.test, "tests/test_conformance.py")
    done = make(flaw).run(sys.executable, "-m", "pytest", *words)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "what to look at" in done.stdout
    assert flaw.words in done.stdout


def test_a_check_tells_all_flaws_at_once(make: Callable[..., Package]) -> None:
    """Those that one package can have at a time."""
    apart = {"a name that another package has", "an error of the vendor's", "a wrong hint"}
    apart |= {"a connection that is left open", "an async task that stands alone"}
    apart |= {"a dependency without a lower bound", "a task that can't be pickled"}
    apart |= {"an async method that blocks"}
    together: Mapping[str, Flaw] = {n: flaw for n, flaw in FLAWS.items() if n not in apart}
    done = make(*together.values()).run(COMMAND, "plugin", "check", "flowstone-acme")
    assert done.returncode == 1
    missed = [name for name, flaw in together.items() if f"{flaw.test} fails" not in done.stdout]
    assert missed == [], done.stdout


def test_without_one_it_is_full(make: Callable[..., Package]) -> None:
    words = ("plugin", "check", "flowstone-acme", "--level", "full", "--json")
    done = make().run(COMMAND, *words)
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert (report["level"], report["problems"], report["not_shown"]) == ("full", [], 0)
