"""A file comes whole and right, or one error says why; what came is kept."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import requests

from colabmagic.cuda.errors import ChecksumError, CudaError, SourceUnreachableError
from colabmagic.cuda.fetching.download import Downloader, Wanted, new_session
from tests.cuda.fetching.conftest import HASTE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from colabmagic.cuda.fetching.cache import Cache
    from tests.fakes.nvidia.server import FileServer


@pytest.fixture
def downloader(cache: Cache) -> Iterator[Downloader]:
    """Return one that does not wait."""
    session = new_session()
    with session:
        yield Downloader(cache=cache, session=session, patience=HASTE)


def content_of(server: FileServer, wanted: Wanted) -> bytes:
    """Return what the server has."""
    return (server.root / wanted.url.rpartition("/")[2]).read_bytes()


def nothing_final(cache: Cache) -> bool:
    """Tell whether no file has a final name."""
    return not list((cache.root / "sha256").rglob("*/*"))


def half(cache: Cache, wanted: Wanted, content: bytes, part: float = 0.5) -> int:
    """Put a part of a file into the cache, as a run before would have; return its size."""
    cache.partial.mkdir(parents=True)
    size = int(len(content) * part)
    (cache.partial / f"{wanted.key}.part").write_bytes(content[:size])
    return size


def test_a_file_comes_and_is_not_fetched_again(
    publish: Callable[..., Wanted],
    downloader: Downloader,
    server: FileServer,
    cache: Cache,
) -> None:
    """It lies under its hash; the second time nothing is asked of the server."""
    wanted = publish()
    path = downloader.fetch(wanted)
    assert path == cache.path_of(wanted.sha256 or "")
    assert path.read_bytes() == content_of(server, wanted)
    assert downloader.fetch(wanted) == path
    assert len(server.requests) == 1
    assert not list(cache.partial.iterdir())


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("status", {"code": 500}),
        ("status", {"code": 503, "retry_after": 1}),
        ("status", {"code": 429, "retry_after": "Wed, 21 Oct 2015 07:28:00 GMT"}),
        ("reset", {}),
        ("truncate", {"fraction": 0.3}),
        ("slow", {"bytes": 60_000, "seconds": 0.001}),
        ("corrupt", {}),
        ("length", {"more": 100}),
        ("no_validator", {}),
        ("no_length", {}),
    ],
)
def test_a_fault_that_goes_away_is_survived(
    kind: str,
    options: dict[str, object],
    publish: Callable[..., Wanted],
    downloader: Downloader,
    server: FileServer,
) -> None:
    """Whatever it was, in the end the bytes are right."""
    wanted = replace(publish(), size=None)
    server.fail(kind, **options)
    assert downloader.fetch(wanted).read_bytes() == content_of(server, wanted)


@pytest.mark.parametrize(
    ("kind", "options", "error", "seen"),
    [
        ("status", {"code": 404}, SourceUnreachableError, "404 Not Found"),
        ("status", {"code": 403}, SourceUnreachableError, "403 Forbidden"),
        ("status", {"code": 500}, SourceUnreachableError, "500 Internal Server Error"),
        ("status", {"code": 418}, SourceUnreachableError, "418"),
        ("reset", {"fraction": 0}, SourceUnreachableError, "reset"),
        ("truncate", {"fraction": 0}, SourceUnreachableError, "ended"),
        ("corrupt", {}, ChecksumError, "SHA-256"),
        ("length", {"more": -100}, ChecksumError, "has 599,900 bytes, and should have"),
        ("redirect", {"to": "/a.bin"}, SourceUnreachableError, "redirects in a circle"),
    ],
)
def test_a_fault_that_stays_is_one_error(  # noqa: PLR0913, PLR0917 (cases and fixtures)
    kind: str,
    options: dict[str, object],
    error: type[CudaError],
    seen: str,
    publish: Callable[..., Wanted],
    downloader: Downloader,
    server: FileServer,
    cache: Cache,
) -> None:
    """It says what was seen and what to type; nothing lies under a final name."""
    wanted = publish()
    server.fail(kind, times=-1, **options)
    with pytest.raises(error) as caught:
        downloader.fetch(wanted)
    assert seen in str(caught.value)
    assert wanted.name in caught.value.what
    assert "--mirror" in caught.value.hint
    assert nothing_final(cache)


def test_a_final_refusal_is_asked_for_once(
    publish: Callable[..., Wanted], downloader: Downloader, server: FileServer
) -> None:
    """404 is not tried again; 500 is, as often as the patience says."""
    wanted = publish()
    server.fail("status", times=-1, code=404)
    with pytest.raises(SourceUnreachableError):
        downloader.fetch(wanted)
    assert len(server.requests) == 1
    server.faults.clear()
    server.fail("status", times=-1, code=500)
    with pytest.raises(SourceUnreachableError):
        downloader.fetch(wanted)
    assert len(server.requests) == 1 + HASTE.attempts


def test_a_broken_line_goes_on_where_it_broke(
    publish: Callable[..., Wanted], downloader: Downloader, server: FileServer
) -> None:
    """The second request asks for the rest only, by the first one's ETag."""
    wanted = publish()
    server.fail("truncate", fraction=0.5)
    downloader.fetch(wanted)
    assert server.sent["/a.bin"] == 600_000
    first, second = server.requests
    assert "Range" not in first.headers
    assert second.headers["Range"] == "bytes=300000-"
    assert second.headers["If-Range"].startswith('"')


def test_a_partial_file_of_another_run_is_hashed_and_used(
    publish: Callable[..., Wanted],
    downloader: Downloader,
    server: FileServer,
    cache: Cache,
) -> None:
    """Its bytes are not fetched again, also where nothing is known but the hash."""
    wanted = publish()
    size = half(cache, wanted, content_of(server, wanted))
    assert downloader.fetch(wanted).read_bytes() == content_of(server, wanted)
    assert server.sent["/a.bin"] == 600_000 - size


def test_a_partial_file_that_is_complete_is_only_hashed(
    publish: Callable[..., Wanted],
    downloader: Downloader,
    server: FileServer,
    cache: Cache,
) -> None:
    """The server says that there is nothing more."""
    wanted = publish()
    half(cache, wanted, content_of(server, wanted), part=1)
    assert downloader.fetch(wanted).read_bytes() == content_of(server, wanted)
    assert server.sent["/a.bin"] == 0


def test_a_partial_file_with_wrong_bytes_is_fetched_anew(
    publish: Callable[..., Wanted],
    downloader: Downloader,
    server: FileServer,
    cache: Cache,
) -> None:
    """The hash of the whole tells; the second try begins at the first byte."""
    wanted = publish()
    half(cache, wanted, bytes(600_000))
    assert downloader.fetch(wanted).read_bytes() == content_of(server, wanted)
    assert server.ranges() == ["bytes=300000-", None]


@pytest.mark.parametrize("kind", ["no_range", "wrong_range"])
def test_a_server_without_ranges_sends_all(
    kind: str,
    publish: Callable[..., Wanted],
    downloader: Downloader,
    server: FileServer,
    cache: Cache,
) -> None:
    """No byte is taken for another one."""
    wanted = publish()
    half(cache, wanted, content_of(server, wanted))
    server.fail(kind)
    assert downloader.fetch(wanted).read_bytes() == content_of(server, wanted)


def test_a_file_that_changes_meanwhile_begins_anew(
    publish: Callable[..., Wanted], downloader: Downloader, server: FileServer
) -> None:
    """The ETag is another one, so that the rest would not fit to what is here."""
    wanted = publish(sha256=False)
    place = server.root / "a.bin"
    server.fail("hold")
    got: list[Path] = []
    thread = threading.Thread(target=lambda: got.append(downloader.fetch(wanted)))
    thread.start()
    assert server.held.wait(10)
    new = bytes(reversed(place.read_bytes()))
    place.write_bytes(new)
    for line in tuple(server._lines):
        line.shutdown(2)
    server.go.set()
    thread.join(20)
    assert got[0].read_bytes() == new
    assert server.ranges()[1].startswith("bytes=")  # type: ignore[union-attr]


def test_without_an_announced_hash_the_address_is_remembered(
    publish: Callable[..., Wanted], downloader: Downloader, server: FileServer
) -> None:
    """The second time the server is asked whether it has changed, and sends nothing."""
    wanted = publish(sha256=False)
    path = downloader.fetch(wanted)
    assert path.name == hashlib.sha256(path.read_bytes()).hexdigest()
    assert downloader.fetch(wanted) == path
    assert server.requests[1].headers["If-None-Match"]
    assert server.sent["/a.bin"] == 600_000
    (server.root / "a.bin").write_bytes(b"new")
    assert downloader.fetch(wanted).read_bytes() == b"new"


def test_what_an_address_brought_is_used_while_its_server_is_away(
    publish: Callable[..., Wanted], downloader: Downloader, server: FileServer
) -> None:
    """An address of NVIDIA's has a version in it; a 404 is an answer, though."""
    wanted = publish(sha256=False)
    path = downloader.fetch(wanted)
    server.fail("status", times=-1, code=503)
    assert downloader.fetch(wanted) == path
    server.faults.clear()
    server.fail("status", times=-1, code=404)
    with pytest.raises(SourceUnreachableError):
        downloader.fetch(wanted)


def test_a_damaged_file_in_the_cache_is_fetched_again(
    publish: Callable[..., Wanted], downloader: Downloader, server: FileServer
) -> None:
    """What lies under the hash is hashed before it is used."""
    wanted = publish()
    path = downloader.fetch(wanted)
    path.write_bytes(b"damaged")
    assert downloader.fetch(wanted).read_bytes() == content_of(server, wanted)


def test_a_redirect_to_another_host_is_followed_without_the_login(
    publish: Callable[..., Wanted], downloader: Downloader, server: FileServer
) -> None:
    """A download server behind the first one gets the request, but no credentials."""
    wanted = publish()
    other = wanted.url.replace("127.0.0.1", "localhost")
    login = wanted.url.replace("http://", "http://me:s3cret@")
    server.fail("redirect", to=other)
    downloader.fetch(replace(wanted, url=login))
    first, second = server.requests
    assert "Authorization" in first.headers
    assert "Authorization" not in second.headers
    assert second.headers["Host"].startswith("localhost")


def test_the_proxy_of_the_environment_is_used(
    publish: Callable[..., Wanted],
    downloader: Downloader,
    server: FileServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As behind the walls of a company; a name that only the proxy knows is no matter."""
    wanted = replace(publish(), url="http://nvidia.invalid/a.bin")
    for name in ("no_proxy", "NO_PROXY", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", server.url)
    assert downloader.fetch(wanted).read_bytes() == content_of(server, wanted)
    assert server.requests[0].headers["Host"] == "nvidia.invalid"


@pytest.mark.parametrize("to", ["ftp://127.0.0.1/a", "file:///etc/passwd"])
def test_a_redirect_to_something_else_is_refused(
    to: str, publish: Callable[..., Wanted], downloader: Downloader, server: FileServer
) -> None:
    """Only http and https are followed."""
    wanted = publish()
    server.fail("redirect", to=to)
    with pytest.raises(SourceUnreachableError, match="not safe"):
        downloader.fetch(wanted)


def test_no_login_is_in_an_error(
    publish: Callable[..., Wanted], downloader: Downloader, server: FileServer
) -> None:
    """Neither a password in the address nor a token in its query."""
    wanted = publish()
    url = wanted.url.replace("http://", "http://me:s3cret@") + "?token=s3cret"
    server.fail("status", times=-1, code=500)
    with pytest.raises(SourceUnreachableError) as caught:
        downloader.fetch(replace(wanted, url=url))
    assert "s3cret" not in str(caught.value)
    assert "127.0.0.1" in str(caught.value)


def test_a_refused_connection_is_said_in_words(downloader: Downloader) -> None:
    """No class name of Python is shown."""
    wanted = Wanted(url="http://127.0.0.1:9/a", name="a", sha256="0" * 64)
    with pytest.raises(SourceUnreachableError) as caught:
        downloader.fetch(wanted)
    assert caught.value.seen == "http://127.0.0.1:9/a: connection refused"


def test_a_file_of_this_machine_is_copied_and_checked(
    tmp_path: Path, downloader: Downloader, cache: Cache
) -> None:
    """Pip's ``find-links`` leads to such addresses; the file itself stays."""
    source = tmp_path / "with space.whl"
    source.write_bytes(b"wheel")
    good = hashlib.sha256(b"wheel").hexdigest()
    path = downloader.fetch(Wanted(url=source.as_uri(), name="w", sha256=good))
    assert path.read_bytes() == b"wheel"
    assert source.exists()
    with pytest.raises(ChecksumError):
        downloader.fetch(Wanted(url=source.as_uri(), name="w", sha256="0" * 64))
    with pytest.raises(SourceUnreachableError, match="No such file"):
        downloader.fetch(
            Wanted(url=(tmp_path / "no").as_uri(), name="n", sha256="1" * 64)
        )
    assert not list(cache.partial.iterdir())


def test_bytes_are_told_once(
    publish: Callable[..., Wanted], downloader: Downloader, server: FileServer
) -> None:
    """Whatever goes wrong, the sum is the size of the file."""
    wanted = publish()
    told: list[int] = []
    downloader.on_bytes = told.append
    server.fail("truncate")
    server.fail("no_range")
    server.fail("corrupt")
    downloader.fetch(wanted)
    assert sum(told) == 600_000


def test_the_session_names_us() -> None:
    """A server can tell who asks."""
    with new_session() as session:
        assert isinstance(session, requests.Session)
        assert session.headers["User-Agent"].startswith("colabmagic ")
