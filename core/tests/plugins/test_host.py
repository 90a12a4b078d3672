from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from textwrap import dedent

import pytest

from flowstone.catalog import Collection
from flowstone.errors import ConfigurationError, MissingExtra, PluginBroken, UnknownName
from flowstone.plugins import Host, Plugin

Install = Callable[..., Path]

GOOD = """
from flowstone.plugins import Collection, hookimpl

@hookimpl
def collection():
    return Collection(blocks={blocks}, tasks={tasks}, extras={extras})
"""


def good(
    blocks: object = None, tasks: object = None, extras: object = None, prefix: str = ""
) -> str:
    return prefix + GOOD.format(blocks=blocks or {}, tasks=tasks or {}, extras=extras or {})


def of(host: Host, name: str) -> Plugin:
    return next(plugin for plugin in host.plugins() if plugin.name == name)


FAULTS = {
    "an import": ("import no_such_module_of_anybody", ModuleNotFoundError, "no_such_module"),
    "a syntax": ("def collection(:", SyntaxError, "plugin.py"),
    "an exit": ("raise SystemExit(3)", SystemExit, "SystemExit"),
    "a base exception": ("class Out(BaseException): ...\nraise Out('out')", BaseException, "out"),
    "an exception in the hook": (
        "from flowstone.plugins import hookimpl\n@hookimpl\ndef collection(): raise KeyError('k')",
        KeyError,
        "'k'",
    ),
    "no hook": ("def collection(): ...", Exception, "@hookimpl"),
    "a hook nobody calls": (
        "from flowstone.plugins import hookimpl\n@hookimpl\ndef colection(): ...",
        Exception,
        "colection",
    ),
    "an argument nobody gives": (
        "from flowstone.plugins import hookimpl\n@hookimpl\ndef collection(config): ...",
        Exception,
        "config",
    ),
    "something else": (
        "from flowstone.plugins import hookimpl\n@hookimpl\ndef collection(): return {}",
        Exception,
        "returned dict",
    ),
    "a target that is none": (good({"x": "acme_bad.module"}), ConfigurationError, "'module:attr"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_broken_plugin_breaks_only_itself(install: Install, fault: str) -> None:
    source, kind, words = FAULTS[fault]
    install("acme-bad", source)
    install("acme-good", good({"good-block": "acme_good.things:thing"}), things="thing = 1")
    host = Host()
    assert host.load("block", "good-block") == 1
    assert host.load("block", "secret").__name__ == "Secret"
    bad = of(host, "bad")
    assert isinstance(bad.error, kind)
    assert (bad.distribution, bad.version, bad.module) == ("acme-bad", "1.2.3", "acme_bad.plugin")
    assert words in bad.traceback
    assert [plugin.name for plugin in host.plugins() if plugin.error] == ["bad"]


HANGS = {
    "a wait": "from threading import Event\nEvent().wait()",
    "a loop": "while True: pass",
    "a connection": (
        "import socket\nserver = socket.create_server(('127.0.0.1', 0))\n"
        "socket.create_connection(server.getsockname()).recv(1)"
    ),
    "a hook": (
        "from threading import Event\nfrom flowstone.plugins import hookimpl\n"
        "@hookimpl\ndef collection(): Event().wait()"
    ),
}


@pytest.mark.parametrize("hang", HANGS)
def test_a_plugin_that_hangs_is_left_behind(install: Install, hang: str) -> None:
    # In a process of its own: the thread that hangs stays until the end of its process. One that
    # loops slows the imports after it, which have the same limit.
    seconds = 5.0 if hang == "a loop" else 1.0
    site = install("acme-hangs", HANGS[hang])
    install("acme-later", good({"later": "acme_later.things:thing"}), things="thing = 1")
    code = (
        f"from flowstone.plugins import Host\nhost = Host(seconds={seconds})\n"
        "[bad] = [plugin for plugin in host.plugins() if plugin.error]\n"
        "print(bad.name, type(bad.error).__name__, host.load('block', 'later'), bad.error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.startswith(
        f"hangs PluginHangs 1 its import did not finish within {seconds:g} s"
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_what_a_plugin_prints_is_kept_aside(
    install: Install, capsys: pytest.CaptureFixture[str]
) -> None:
    noise = "import sys, warnings\nprint('to out')\nprint('to err', file=sys.stderr)\n"
    loud = "from threading import Thread\nother = Thread(target=print, args=['from a thread'])\n"
    install("acme-loud", good(prefix=noise + loud + "other.start(); other.join()\n"))
    host = Host()
    assert of(host, "loud").error is None
    assert of(host, "loud").output == "to out\nto err\n"
    assert of(host, "flowstone").output == ""
    assert capsys.readouterr() == ("from a thread\n", "")
    print("as ever")
    assert capsys.readouterr().out == "as ever\n"


def test_a_keyboard_interrupt_is_let_through(install: Install) -> None:
    install("acme-bad", "raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        Host().plugins()


def test_a_name_of_a_broken_plugin_raises_its_own_error(install: Install) -> None:
    install("acme-bad", good({"bad-block": "acme_bad.things:x"}, prefix="import no_such_thing\n"))
    with pytest.raises(PluginBroken, match=r"'bad' of acme-bad 1.2.3 .*no_such_thing") as caught:
        Host().load("block", "bad-block")
    assert isinstance(caught.value.__cause__, ModuleNotFoundError)
    with pytest.raises(UnknownName) as unknown:
        Host().load("block", "other-block")
    assert any("acme-bad" in note for note in unknown.value.__notes__)


def test_an_unknown_name_names_near_ones() -> None:
    with pytest.raises(UnknownName, match="Did you mean 'secret'"):
        Host().load("block", "secert")


def test_a_clash_is_reported_with_both_owners(install: Install) -> None:
    install("acme-one", good({"same": "acme_one.things:x"}), things="x = 1")
    install("acme-two", good({"other": "acme_two.things:x", "same": "acme_two.things:x"}))
    host = Host()
    assert host.load("block", "same") == 1
    problem = str(of(host, "two").error)
    assert "acme-one" in problem
    assert "acme-two" in problem
    assert [offer.name for offer in host.offers("block")].count("same") == 1
    with pytest.raises(PluginBroken, match="acme-two"):
        host.load("block", "other")


def test_nobody_takes_a_name_of_core(install: Install) -> None:
    install("acme-aaa", good({"secret": "acme_aaa.things:x"}), entry="aaa")
    host = Host()
    assert host.plugins()[0].name == "flowstone"
    assert host.load("block", "secret").__module__ == "flowstone.blocks.secret_providers.secret"
    assert "flowstone already, which keeps it" in str(of(host, "aaa").error)


def test_two_plugins_of_one_name_are_told_apart(install: Install) -> None:
    install("acme-one", good({"x": "acme_one:x"}), entry="same")
    install("acme-two", good({"y": "acme_two:y"}), entry="same")
    one, two = [plugin for plugin in Host().plugins() if plugin.name == "same"]
    assert (one.error, one.distribution) == (None, "acme-one")
    assert "plugin 'same' of acme-two is offered by acme-one" in str(two.error)


def test_the_same_name_may_be_a_block_and_a_task(install: Install) -> None:
    install("acme-one", good({"x": "acme_one.t:b"}, {"x": "acme_one.t:t"}), t="b, t = 1, 2")
    host = Host()
    assert (host.load("block", "x"), host.load("task", "x")) == (1, 2)
    assert "x" in [offer.name for offer in host.offers("task")]


def test_to_list_is_not_to_load(install: Install) -> None:
    install("acme-lazy", good({"lazy": "acme_lazy.things:x"}), things="raise SystemExit")
    host = Host()
    assert "lazy" in [offer.name for offer in host.offers("block")]
    assert "acme_lazy.things" not in sys.modules
    with pytest.raises(PluginBroken, match="block 'lazy' can't be loaded: SystemExit") as caught:
        host.load("block", "lazy")
    assert isinstance(caught.value.__cause__, SystemExit)


def test_an_attribute_that_is_not_there_is_told(install: Install) -> None:
    install("acme-lazy", good({"lazy": "acme_lazy.things:x"}), things="")
    with pytest.raises(PluginBroken, match="has no attribute 'x'"):
        Host().load("block", "lazy")


def test_a_missing_extra_says_what_to_install(install: Install) -> None:
    blocks = {"big": "acme_x.big:B", "small": "acme_x.small:S", "own": "acme_x.own:O"}
    extras = {"big": "acme-x[big]", "own": "acme-x[own]"}
    modules = {"big": "import big_sdk.client", "small": "import big_sdk", "own": "import acme_x.no"}
    install("acme-x", good(blocks, extras=extras), **modules)
    host = Host()
    with pytest.raises(MissingExtra, match=r"block 'big' needs .*pip install 'acme-x\[big\]'"):
        host.load("block", "big")
    for name in ("small", "own"):  # no extra would help
        with pytest.raises(PluginBroken):
            host.load("block", name)


def test_plugins_are_loaded_once_from_many_threads(install: Install) -> None:
    count = "import builtins\nbuiltins.acme_loads = getattr(builtins, 'acme_loads', 0) + 1\n"
    install("acme-once", good({"once": "acme_once:x"}, prefix=count))
    host = Host()
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: host.plugins(), range(32)))
    assert all(plugins is found[0] for plugins in found)
    import builtins

    assert builtins.acme_loads == 1  # type: ignore[attr-defined]
    del builtins.acme_loads  # type: ignore[attr-defined]


def test_a_table_has_targets_only() -> None:
    for target in ("", "module", "module:", ":x", "a b:x", "a:b.c", 3):
        with pytest.raises(ConfigurationError, match="module:attribute"):
            Collection(blocks={"x": target})  # type: ignore[dict-item]


def test_nothing_is_printed_by_a_broken_plugin(install: Install) -> None:
    site = install("acme-bad", "import no_such_module_of_anybody")
    code = "from flowstone.plugins import get_host; get_host().offers('block')"
    env = {"PYTHONPATH": str(site)}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, env=env, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_mutants_of_plugins_are_found(install: Install, tmp_path: Path) -> None:
    block = """
    from flowstone.blocks import Block
    class {name}(Block): ...
    """
    listed = {"listed{n}": "acme_{n}.things:Listed{n}"}

    def package(
        n: str,
        blocks: dict[str, str],
        plugin: str = "",
        init: str = "",
        needs: str = "flowstone>=0.1",
    ) -> Path:
        things = dedent(block.format(name=f"Listed{n}")) + "class Hidden(Block): ...\n"
        names = f"__all__ = ['Listed{n}']\n"
        lazy = f"def __getattr__(name):\n    from acme_{n} import things\n"
        lazy += "    return getattr(things, name)\n"
        source = good({k.format(n=n): v.format(n=n) for k, v in blocks.items()}) + plugin
        more = {"things": things, "__init__": names + lazy + init}
        return install(f"acme-{n}", source, needs=needs, **more)

    package("fine", listed)
    package("long", listed, plugin="\n" * 40)
    package("heavy", listed, plugin="import xml.dom\n")
    package("unsorted", {"zzz": "acme_{n}.things:Hidden", **listed})
    package("gone", {**listed, "nothing": "acme_{n}.things:Nothing"})
    package("slug", {"another-slug": "acme_{n}.things:Listed{n}"})
    package("hidden", listed, init="__all__.append('Hidden')\n")
    package("unbound", listed, needs="flowstone; python_version >= '3.11'")
    package("undeclared", listed, init="def render():\n    import jinja2.sandbox\n")
    site = package("broken", listed, plugin="import no_such_module_of_anybody\n")
    names = ["fine", "long", "heavy", "unsorted", "gone", "slug", "hidden", "broken", "absent"]
    names += ["unbound", "undeclared"]
    tests = "from flowstone_testing.conformance.plugins import PluginSuite\n"
    for name in names:
        tests += f"class Test_{name}(PluginSuite):\n    plugin = {name!r}\n"
        tests += f"    package = 'acme_{name}'\n    sdks = ('xml',)\n"
    (tmp_path / "test_plugins.py").write_text(tests)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_plugins.py", "-rf"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=False,
    )
    failed = {
        tuple(line.split(" ")[1].split("::")[1:])
        for line in done.stdout.splitlines()
        if line.startswith("FAILED")
    }
    assert failed >= {
        ("Test_long", "test_the_module_is_short"),
        ("Test_heavy", "test_listing_loads_no_sdk"),
        ("Test_unsorted", "test_names_are_sorted"),
        ("Test_gone", "test_everything_it_lists_is_there"),
        ("Test_slug", "test_blocks_are_listed_under_their_slugs"),
        ("Test_hidden", "test_every_public_block_type_is_listed"),
        ("Test_unbound", "test_dependencies_have_lower_bounds"),
        ("Test_undeclared", "test_what_is_imported_is_declared"),
        ("Test_broken", "test_it_loads"),
        ("Test_absent", "test_it_loads"),
    }
    assert not [name for name in failed if name[0] == "Test_fine"], done.stdout


def test_twelve_plugins_are_found_by_one_scan(install: Install) -> None:
    site = install("acme-other", good())
    for number in range(11):
        name = f"acme-p{number}"
        install(name, good({f"block-{number}-{i}": f"acme_p{number}:B" for i in range(20)}))
    code = (
        "import time; import flowstone.plugins as p\n"
        "began = time.perf_counter(); p.get_host().plugins()\n"
        "took = time.perf_counter() - began\n"
        "offers = [o for o in p.get_host().offers('block') if o.name.startswith('block-')]\n"
        "print(took, len(offers))"
    )
    env = {"PYTHONPATH": str(site)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True
    )
    seconds, offers = done.stdout.split()
    print(f"12 plugins found in {float(seconds) * 1000:.1f} ms")
    assert int(offers) == 11 * 20
