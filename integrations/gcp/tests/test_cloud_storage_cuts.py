"""Connections to Cloud Storage that end anywhere: an error or the right value, nothing by half."""

from __future__ import annotations

import random
import re
import traceback
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, cast

import pytest
from tests.services.gcs_sessions import Sessions, serve_sessions
from tests.services.proxy import How, Proxy

from flowstone.errors import ObjectMissing, StorageError, Unreachable
from flowstone.records.redaction import redact
from flowstone_gcp import GcpCredentials, GcsBucket

OLD, NEW = b"old content" * 1000, b"the new content" * 2000
#: Two parts of an upload session.
LARGE = b"0123456789abcdef" * 600_000
#: Seconds after which a request is given up.
PATIENCE = 0.45
FAILED = object()

# What is looked for is a hang.
pytestmark = pytest.mark.timeout(120)


def behind(url: str, bucket: GcsBucket, seconds: float = PATIENCE) -> GcsBucket:
    """Return the same bucket, reached by another address, with little patience."""
    login = GcpCredentials(anonymous=True, endpoint=url, timeout_seconds=seconds)
    return bucket.model_copy(update={"gcp_credentials": login})


def attempt(work: Callable[[], object]) -> object:
    """Return what some work returns; any error that is not one of ours passes."""
    try:
        return work()
    except StorageError:
        return FAILED


def read_any(bucket: GcsBucket, path: str) -> bytes | None:
    try:
        return bucket.read_path(path)
    except ObjectMissing:
        return None


def write(cut: GcsBucket, direct: GcsBucket, _: Path) -> object:
    done = attempt(lambda: cut.write_path("a", NEW))
    assert direct.read_path("a") in ([OLD, NEW] if done is FAILED else [NEW])
    return done


def write_in_parts(cut: GcsBucket, direct: GcsBucket, folder: Path) -> object:
    source = folder / "large"
    source.write_bytes(LARGE)
    done = attempt(lambda: cut.upload_from_path(source, "a"))
    assert direct.read_path("a") in ([OLD, LARGE] if done is FAILED else [LARGE])
    return done


class Pipe:
    """A source that can't seek."""

    def __init__(self, content: bytes) -> None:
        self._content = BytesIO(content)

    def seekable(self) -> bool:
        return False

    def read(self, size: int = -1) -> bytes:
        return self._content.read(size)


def write_from_a_pipe(cut: GcsBucket, direct: GcsBucket, _: Path) -> object:
    pipe = cast("BinaryIO", Pipe(LARGE))
    done = attempt(lambda: cut.upload_from_file_object(pipe, "a"))
    assert direct.read_path("a") in ([OLD, LARGE] if done is FAILED else [LARGE])
    return done


def read(cut: GcsBucket, direct: GcsBucket, _: Path) -> object:
    found = attempt(lambda: cut.read_path("a"))
    assert found in (FAILED, OLD)
    return found


def stream(cut: GcsBucket, direct: GcsBucket, _: Path) -> object:
    found = attempt(lambda: b"".join(cut.stream("a", 500)))
    assert found in (FAILED, OLD)
    return found


def seek(cut: GcsBucket, direct: GcsBucket, _: Path) -> object:
    def work() -> bytes:
        with cut.open_read("a") as reader:
            reader.seek(-5000, 2)
            return reader.read()

    found = attempt(work)
    assert found in (FAILED, OLD[-5000:])
    return found


def download(cut: GcsBucket, direct: GcsBucket, folder: Path) -> object:
    target = folder / "down/a"
    target.unlink(missing_ok=True)
    done = attempt(lambda: cut.download_object_to_path("a", target))
    found = [path.read_bytes() for path in target.parent.glob("*")]
    assert found == ([] if done is FAILED else [OLD])
    return done


def look(cut: GcsBucket, direct: GcsBucket, _: Path) -> object:
    found = attempt(lambda: cut.object_info("a"))
    assert found in (FAILED, direct.object_info("a"))
    return found


def list_all(cut: GcsBucket, direct: GcsBucket, _: Path) -> object:
    found = attempt(lambda: list(cut.list_objects()))
    assert found in (FAILED, list(direct.list_objects()))
    return found


def delete(cut: GcsBucket, direct: GcsBucket, _: Path) -> object:
    done = attempt(lambda: cut.delete_object("a"))
    assert done is FAILED or not direct.exists("a")
    return done


def delete_all(cut: GcsBucket, direct: GcsBucket, _: Path) -> object:
    done = attempt(lambda: cut.delete_folder(""))
    assert done is FAILED or not list(direct.list_objects())
    return done


def move(cut: GcsBucket, direct: GcsBucket, _: Path) -> object:
    done = attempt(lambda: cut.move_object("a", "moved"))
    found = [read_any(direct, path) for path in ("a", "moved")]
    assert found in ([[OLD, None], [None, OLD], [OLD, OLD]] if done is FAILED else [[None, OLD]])
    return done


SMALL = [write, read, stream, seek, download, look, list_all, delete, delete_all, move]
IN_PARTS = [write_in_parts, write_from_a_pipe]
Work = Callable[[GcsBucket, GcsBucket, Path], object]


def prepare(bucket: GcsBucket) -> None:
    bucket.delete_folder("")
    for path in ("a", "b", "c/d"):
        bucket.write_path(path, OLD)


def find_places(sent: bytes, dense: bool) -> Iterator[int]:
    """Yield where to cut: at each line of the headers, within it, and anywhere in the body."""
    lines = [found.end() for found in re.finditer(rb"\r\n", sent[:4000])]
    chance = random.Random(len(sent))
    yield from (1, len(sent) - 1)
    yield from lines if dense else (*lines[:1], *lines[-1:])
    yield from (place - chance.randrange(1, 12) for place in lines if dense)
    yield from (chance.randrange(1, len(sent)) for _ in range(12 if dense else 2))


def cut_everywhere(work: Work, bucket: GcsBucket, folder: Path, how: How, dense: bool) -> None:
    """Cut every connection at the same byte of it, and do so for many bytes."""
    requests, answers = pass_whole(work, bucket, folder)
    failures = 0
    for way, sent in (("requests", requests), ("answers", answers)):
        for place in sorted(set(find_places(sent, dense))):
            prepare(bucket)
            # A new address makes a new client, which has no connection yet.
            with Proxy(find_endpoint(bucket), keeps=False) as between:
                between.plan(**{way: (place,)}, always=True, how=how)
                failures += work(behind(between.url, bucket), bucket, folder) is FAILED
    assert failures


def cut_once(work: Work, bucket: GcsBucket, folder: Path, how: How) -> None:
    """Cut the first connection, at one of many bytes of it; the others are whole."""
    requests, answers = pass_whole(work, bucket, folder)
    for way, sent in (("requests", requests), ("answers", answers)):
        for place in sorted(set(find_places(sent, dense=False))):
            prepare(bucket)
            with Proxy(find_endpoint(bucket), keeps=False) as between:
                between.plan(**{way: (place,)}, how=how)  # type: ignore[arg-type]
                there = behind(between.url, bucket, seconds=60)
                assert work(there, bucket, folder) is not FAILED, (way, place)


def pass_whole(work: Work, bucket: GcsBucket, folder: Path) -> tuple[bytes, bytes]:
    """Return the requests and the answers of some work over connections that hold."""
    prepare(bucket)
    with Proxy(find_endpoint(bucket)) as whole:
        assert work(behind(whole.url, bucket, seconds=60), bucket, folder) is not FAILED
        return bytes(whole.seen[0]), bytes(whole.seen[1])


def find_endpoint(bucket: GcsBucket) -> str:
    endpoint = bucket.gcp_credentials.endpoint
    assert endpoint is not None
    return endpoint


@pytest.fixture(autouse=True)
def no_requests_in_the_background(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK asks for a bucket's metadata, in a thread, to describe its traces."""
    monkeypatch.setenv("DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA", "true")


@pytest.fixture
def sessions(emulated: str) -> Iterator[Sessions]:
    """Cloud Storage with upload sessions as Google documents them, which the emulator lacks."""
    with serve_sessions(emulated) as found:
        yield found


@pytest.fixture
def cloud(bucket: GcsBucket, sessions: Sessions) -> GcsBucket:
    """The bucket, with such sessions."""
    return behind(sessions.url, bucket, seconds=60)


@pytest.mark.parametrize("work", [write, read, look])
def test_an_end_of_the_connection_is_an_error_or_is_retried(
    bucket: GcsBucket, emulated: str, tmp_path: Path, work: Work
) -> None:
    cut_everywhere(work, bucket, tmp_path, "end", dense=False)


@pytest.mark.check
@pytest.mark.timeout(900)
@pytest.mark.parametrize("how", ["end", "reset"])
@pytest.mark.parametrize("work", SMALL)
def test_an_end_anywhere_is_an_error_or_is_retried(
    bucket: GcsBucket, emulated: str, tmp_path: Path, work: Work, how: How
) -> None:
    cut_everywhere(work, bucket, tmp_path, how, dense=True)


@pytest.mark.check
@pytest.mark.timeout(900)
@pytest.mark.parametrize("how", ["end", "reset"])
@pytest.mark.parametrize("work", IN_PARTS)
def test_an_end_in_an_upload_in_parts_is_an_error_or_is_retried(
    cloud: GcsBucket, tmp_path: Path, work: Work, how: How
) -> None:
    cut_everywhere(work, cloud, tmp_path, how, dense=False)


@pytest.mark.parametrize(
    ("work", "how"),
    [
        (read, "reset"),
        (write_in_parts, "reset"),
        *(
            pytest.param(work, how, marks=pytest.mark.check)
            for work in (*SMALL, *IN_PARTS)
            for how in ("end", "reset")
        ),
    ],
)
def test_one_end_is_retried(cloud: GcsBucket, tmp_path: Path, work: Work, how: How) -> None:
    cut_once(work, cloud, tmp_path, how)


def test_what_was_not_kept_of_a_part_is_sent_again(
    cloud: GcsBucket, sessions: Sessions, tmp_path: Path
) -> None:
    """The SDK gives up where a part is kept in part; the upload begins anew, if it can."""
    prepare(cloud)
    sessions.keeps = 1024 * 1024
    assert write_in_parts(cloud, cloud, tmp_path) is FAILED
    with pytest.raises(Unreachable, match="session ended"):
        cloud.upload_from_file_object(BytesIO(LARGE), "a")
    assert cloud.read_path("a") == OLD


def test_a_session_that_expired_is_an_error_without_its_address(
    cloud: GcsBucket, sessions: Sessions
) -> None:
    """Who has a session's address can write the object."""
    prepare(cloud)
    sessions.expired = True
    with pytest.raises(Unreachable, match="session ended") as caught:
        cloud.upload_from_file_object(BytesIO(LARGE), "a")
    assert sessions.open
    shown = redact("".join(traceback.format_exception(caught.value)))
    assert not [name for name in sessions.open if name in str(caught.value)]
    assert str(caught.value) in shown
    assert not [name for name in sessions.open if name in shown]
    assert cloud.read_path("a") == OLD


@pytest.mark.parametrize("work", [write, read])
@pytest.mark.check
def test_silence_is_an_error_or_is_retried(
    bucket: GcsBucket, emulated: str, tmp_path: Path, work: Work
) -> None:
    be_silent(work, bucket, tmp_path)


@pytest.mark.check
@pytest.mark.parametrize("work", [*SMALL[2:], *IN_PARTS])
def test_silence_is_an_error_or_is_retried_wherever(
    cloud: GcsBucket, tmp_path: Path, work: Work
) -> None:
    be_silent(work, cloud, tmp_path)


def be_silent(work: Work, bucket: GcsBucket, folder: Path) -> None:
    for way, place in (("requests", 100), ("requests", 9_000), ("answers", 20)):
        prepare(bucket)
        with Proxy(find_endpoint(bucket), keeps=False) as between:
            between.plan(**{way: (place,)}, always=True, how="silence")
            work(behind(between.url, bucket), bucket, folder)
