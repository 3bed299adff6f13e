"""Each failure of a download, word for word, and nothing in it that must not be shown."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from colabmagic.cuda import errors
from colabmagic.cuda.fetching import trouble

SECRET = "s3cr3t"  # noqa: S105 (of this test)
URL = f"https://me:{SECRET}@host.example/a/b.tar.xz?token={SECRET}#x"
HOSTILE = "b\x1b[2J\n\u202ename"


def all_of_them() -> list[errors.CudaError]:
    """Return one of each, with a hostile name and an address that holds a login."""
    return [
        trouble.unreachable(HOSTILE, URL, f"no answer from {URL}"),
        *(trouble.refused(HOSTILE, URL, each, HOSTILE) for each in (404, 403, 500)),
        trouble.wrong_bytes(HOSTILE, URL, "its SHA-256 is 0a…, and should be 1b…"),
        trouble.not_here([HOSTILE]),
        trouble.no_room(HOSTILE, Path(f"/x/{HOSTILE}"), 10, 5),
        *(
            trouble.unwritable(Path(f"/x/{HOSTILE}"), OSError(each, "why"))
            for each in (errno.ENOSPC, errno.EACCES, errno.EIO)
        ),
    ]


@pytest.mark.parametrize("error", all_of_them(), ids=range(10))
def test_nothing_is_shown_that_must_not_be(error: errors.CudaError) -> None:
    """No login, no query, nothing that steers a terminal; but something to type."""
    text = "\n".join(error.render())
    assert SECRET not in text
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert error.hint
    assert error.seen
    assert "\n" not in error.what + error.seen


def test_a_server_that_does_not_answer() -> None:
    """What has come is kept, and that is told."""
    error = trouble.unreachable("cuda_nvcc", URL, "no answer within 20 s")
    assert error.render() == [
        "SourceUnreachableError: cuda_nvcc did not come",
        "  seen: https://host.example/a/b.tar.xz: no answer within 20 s",
        (
            "  try:  run the cell again: what has come is kept, and it goes on from there"
        ),
        "        or name another source: --mirror URL",
    ]


def test_a_proxy_that_does_not_answer() -> None:
    """Another mirror would not help: it is asked by the same proxy."""
    error = trouble.unreachable("x", URL, "the proxy proxy.example:3128 refuses")
    assert error.hint.splitlines()[0] == "see to the proxy that HTTPS_PROXY names"
    assert "--mirror" not in error.hint


@pytest.mark.parametrize(
    ("status", "what", "hint"),
    [
        (404, "the server does not have x", "another source: --mirror URL, or another"),
        (410, "the server does not have x", "another source: --mirror URL, or another"),
        (
            401,
            "the server does not let us have x",
            "another source: --mirror URL, or s",
        ),
        (
            407,
            "the server does not let us have x",
            "another source: --mirror URL, or s",
        ),
        (451, "the server does not send x", "run the cell again"),
        (503, "the server does not send x", "run the cell again"),
    ],
)
def test_an_answer_that_is_a_refusal(status: int, what: str, hint: str) -> None:
    """What is to be done depends on who refuses."""
    error = trouble.refused("x", "https://h/x", status, "Reason")
    assert (error.what, error.seen) == (what, f"https://h/x: {status} Reason")
    assert error.hint.startswith(hint)


def test_an_answer_without_a_reason() -> None:
    """HTTP/2 has none."""
    assert trouble.refused("x", "https://h/x", 404, "").seen == "https://h/x: 404"


def test_what_is_missing_offline() -> None:
    """Four names, and how many more."""
    few = trouble.not_here(["a", "b", "c", "d"])
    assert few.seen == "missing: a, b, c, d"
    many = trouble.not_here([f"p{number}" for number in range(7)])
    assert many.seen == "missing: p0, p1, p2, p3 and 3 more"
    assert "--cache FOLDER" in many.hint


def test_no_room() -> None:
    """Both sizes in words, and the folder that is too small."""
    error = trouble.no_room("x", Path("/data"), 3_000_000_000, 12_000_000)
    assert (error.what, error.seen) == (
        "there is no room for x",
        "/data: 3.0 GB to come, 12.0 MB free",
    )


@pytest.mark.parametrize(
    ("number", "kind", "what"),
    [
        (errno.ENOSPC, errors.DiskFullError, "the disk is full"),
        (errno.EDQUOT, errors.DiskFullError, "the disk is full"),
        (errno.EFBIG, errors.DiskFullError, "the disk is full"),
        (errno.EACCES, errors.NeedsRootError, "the folder cannot be written"),
        (errno.EROFS, errors.NeedsRootError, "the folder cannot be written"),
        (errno.EIO, errors.CudaError, "the disk does not take the file"),
        (errno.ENAMETOOLONG, errors.CudaError, "the disk does not take the file"),
    ],
)
def test_a_disk_that_takes_no_more(
    number: int, kind: type[errors.CudaError], what: str
) -> None:
    """By the system's number, with its word for it; a full disk says how much is to come."""
    error = trouble.unwritable(
        Path("/data"), OSError(number, os.strerror(number)), wanted=2_000_000
    )
    assert (type(error), error.what) == (kind, what)
    told = f"/data: {os.strerror(number)}"
    more = "; 2.0 MB are still to come" if kind is errors.DiskFullError else ""
    assert error.seen == told + more


def test_an_error_of_the_disk_without_words() -> None:
    """Some have no number: the name of the class is better than nothing."""
    error = trouble.unwritable(Path("/data"), OSError("odd"))
    assert error.seen == "/data: OSError"
