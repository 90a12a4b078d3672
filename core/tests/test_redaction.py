from __future__ import annotations

import html
import json
import re
import shlex
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowstone.records.redaction import BRANCHING, MASK, SHORTEST, _match_any, redact, register

SECRET = "pa\"ss/wörd\\with\tall it's +<b>"


def test_text_without_secrets_stays() -> None:
    assert redact("nothing to hide") == "nothing to hide"


@pytest.mark.parametrize(
    "form",
    [
        SECRET,
        json.dumps(SECRET)[1:-1],
        json.dumps(SECRET, ensure_ascii=False)[1:-1],
        json.dumps(json.dumps(SECRET))[3:-3],
        quote(SECRET, safe=""),
        quote(SECRET),
        quote_plus(SECRET),
        repr(SECRET)[1:-1],
        repr(repr(SECRET))[3:-3],
        repr(f"it is '{SECRET}'")[9:-3],
        ascii(SECRET)[1:-1],
        repr(SECRET.encode())[2:-1],
        html.escape(SECRET),
        shlex.quote(SECRET)[1:-1],
    ],
)
def test_a_secret_is_masked_in_every_form(form: str) -> None:
    register(SECRET)
    assert redact(f"see {form}, again {form}") == f"see {MASK}, again {MASK}"


def test_a_key_of_a_cloud_is_masked_in_an_address() -> None:
    register("wJalr/XUtn+FEMI")  # a library writes either, both or none of these in another way
    for form in ("wJalr/XUtn%2BFEMI", "wJalr%2FXUtn%2BFEMI", "wJalr/XUtn+FEMI"):
        assert redact(f"https://host/?key={form}&more") == f"https://host/?key={MASK}&more"


def test_a_secret_with_a_line_break_behind_it_is_masked_without_it() -> None:
    register("of-a-file-0815\n")
    assert redact("log in with of-a-file-0815 here") == f"log in with {MASK} here"


def test_a_text_that_is_no_unicode_is_registered() -> None:
    register("half-\udcff-half")
    assert redact("half-\udcff-half") == MASK


def test_lines_of_a_long_secret_are_masked_one_by_one() -> None:
    key = "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n-----END KEY-----"
    register(key)
    assert redact("at MIIEvQIBADANBgkqhkiG9w0BAQEFAASC here") == f"at {MASK} here"


def test_the_longest_secret_is_masked_whole() -> None:
    register("abcdefgh")
    register("abcdefgh-ijkl")
    assert redact("abcdefgh-ijkl") == MASK


def test_long_secrets_that_begin_alike_are_told_apart() -> None:
    beginning = '{"type": "service_account", "private_key": "'
    for end in ("of-one", "of-another", "of-another-one", "of"):
        register(beginning + end)
    for end in ("of-one", "of-another", "of-another-one", "of"):
        assert redact(f"{beginning[:40]} {beginning}{end}{beginning}") == (
            f"{beginning[:40]} {MASK}{beginning}"
        )
    assert redact(beginning) == beginning


def test_a_long_secret_is_masked_though_a_short_one_is_in_it() -> None:
    register("zq-short-zq")
    register("-----" * 10 + "zq-short-zq-and-more")
    assert redact("at " + "-----" * 10 + "zq-short-zq-and-more, zq-short-zq") == (
        f"at {MASK}, {MASK}"
    )


def test_short_values_are_no_secrets() -> None:
    register("x" * (SHORTEST - 1))
    assert redact("x" * (SHORTEST - 1)) == "x" * (SHORTEST - 1)


def test_a_thousand_secrets_that_begin_alike_are_all_found() -> None:
    values = [
        f"{beginning}{n:04}" for beginning in ("a.", "a.b", "a.b.c", "b|") for n in range(250)
    ]
    for value in values:
        register(value)
    assert redact(" ".join(values)) == " ".join([MASK] * len(values))
    assert redact("a.b a.b.c.d b|12") == "a.b a.b.c.d b|12"


@given(st.sets(st.text("ab|.", min_size=SHORTEST, max_size=9)), st.text("ab|."))
def test_one_look_finds_what_trying_each_value_finds(values: set[str], text: str) -> None:
    one_by_one = re.compile("|".join(map(re.escape, sorted(values, key=len, reverse=True))) or "$^")
    several = re.compile(_match_any(sorted(values, key=len, reverse=True), BRANCHING) or "$^")
    assert several.sub(MASK, text) == one_by_one.sub(MASK, text)


@given(st.uuids(), st.text(), st.text())
def test_no_secret_is_left(key: object, before: str, after: str) -> None:
    register(str(key))
    assert str(key) not in redact(f"{before}{key}{after}")


def test_the_beginning_of_every_address_is_no_secret() -> None:
    register("https://")
    assert redact("see https://example.org") == "see https://example.org"
