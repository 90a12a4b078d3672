"""Logins of equal values are one, in one process."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from flowstone.blocks import LoginCache


class Login:
    """What a package opens."""


def test_equal_values_share_a_login() -> None:
    cache: LoginCache[Login] = LoginCache()
    first = cache.find(("key", 1), Login)
    assert cache.find(("key", 1), Login) is first
    assert cache.find(("key", 2), Login) is not first


def test_the_least_recently_used_login_is_dropped() -> None:
    cache: LoginCache[Login] = LoginCache(most=2)
    first, second = cache.find(1, Login), cache.find(2, Login)
    assert cache.find(1, Login) is first
    cache.find(3, Login)
    assert cache.find(1, Login) is first
    assert cache.find(2, Login) is not second


def test_an_error_keeps_nothing() -> None:
    cache: LoginCache[Login] = LoginCache()

    def refuse() -> Login:
        raise LookupError

    with pytest.raises(LookupError):
        cache.find(1, refuse)
    assert isinstance(cache.find(1, Login), Login)


def test_threads_share_a_login() -> None:
    cache: LoginCache[Login] = LoginCache()
    barrier = threading.Barrier(8)

    def find() -> Login:
        barrier.wait()
        return cache.find(1, Login)

    with ThreadPoolExecutor(8) as pool:
        found = {future.result() for future in [pool.submit(find) for _ in range(8)]}
    assert len(found) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_child_opens_its_own_even_while_the_cache_is_locked() -> None:
    cache: LoginCache[int] = LoginCache()

    def fork_and_tell() -> int:
        child = os.fork()
        if child == 0:
            # The parent holds the lock, and knows no login of these values yet.
            same = cache.find("kept", partial(int, "2")) == 2
            os._exit(0 if same else 1)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    assert cache.find("kept", partial(int, "1")) == 1
    assert cache.find("new", fork_and_tell) == 0
