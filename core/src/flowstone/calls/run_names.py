"""Made-up names for runs: two words that a person can remember and say."""

from __future__ import annotations

import os

_HOW_WORDS = """
amber brisk calm clear copper crisp deep early eager fair fine fleet fresh gentle glad golden
grand green happy hazel high honest jolly keen kind level light lively lucid lunar mellow
merry mild misty modest nimble noble open pale plain prime proud quick quiet rapid ready red
rich robust round royal russet sharp silent silver sleek smooth snowy solar solid spry steady
still stout strong sunny sure swift tidy true upright vivid warm wide wild wise witty young
"""
_WHAT_WORDS = """
alder aspen badger beaver birch bison bluff brook canyon cedar cliff comet cove crane creek
delta dune eagle elk ember falcon fern finch fjord forest fox gale glacier grove gull harbor
hare hawk heron hill ibis inlet island jay juniper kestrel lagoon lake larch lark lynx maple
marsh martin meadow mesa moose oak orca osprey otter owl pebble pine plover prairie quarry
raven reef ridge river robin rowan salmon seal shore spruce stone stork stream summit swan
swift thrush tide trail trout tundra valley walrus willow wolf wren
"""
_HOW = tuple(_HOW_WORDS.split())
_WHAT = tuple(_WHAT_WORDS.split())


def made_up() -> str:
    """Return a name such as ``brisk-otter``."""
    number = int.from_bytes(os.urandom(4))
    return f"{_HOW[number % len(_HOW)]}-{_WHAT[number // len(_HOW) % len(_WHAT)]}"
