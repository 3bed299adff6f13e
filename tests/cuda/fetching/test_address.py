"""What of an address may be shown, and where it may lead."""

from __future__ import annotations

import pytest

from colabmagic.cuda.errors import SourceUnreachableError
from colabmagic.cuda.fetching.address import below, name_of, redirected, scrub, shown


@pytest.mark.parametrize(
    ("text", "clear"),
    [
        ("https://me:pass@h/a?token=1#x", "https://h/a"),
        ("https://token@h/a", "https://h/a"),
        ("https://me:p@ss@h/a", "https://h/a"),
        ("http://h:80/a", "http://h:80/a"),
    ],
)
def test_an_address_is_shown_without_its_login(text: str, clear: str) -> None:
    """Neither its query."""
    assert shown(text) == clear


def test_text_of_others_loses_logins_and_control_characters() -> None:
    """It is one line that a terminal may have."""
    text = "a \x1b[31mhttps://me:pass@h/a?sig=1'\nhttps://token@g/b"
    assert scrub(text) == "a  [31mhttps://h/a' https://g/b"
    assert len(scrub("x" * 1000)) == 300


def test_the_name_is_the_last_part() -> None:
    """As a file is called."""
    assert name_of("https://h/a/b%20c.whl?x=1#y") == "b c.whl"
    assert name_of("https://h/a/") == "index"


def test_what_lies_below_a_list() -> None:
    """In the folder of the list, and nowhere else."""
    root = "https://h/compute/redist/redistrib_1.json"
    assert below(root, "cuda_nvcc/a.tar.xz") == (
        "https://h/compute/redist/cuda_nvcc/a.tar.xz"
    )
    for path in ("../a", "a/../../b", "/a", "//g/a", "http://g/a", ""):
        with pytest.raises(SourceUnreachableError, match="leads out"):
            below(root, path)


def test_a_redirect_never_leaves_encryption() -> None:
    """From http to https it may; a log-in page of a network is what the hint names."""
    assert redirected("http://h/a", "https://g/b") == "https://g/b"
    assert redirected("https://h/a/b", "../c") == "https://h/c"
    for to in ("http://h/a", "ftp://h/a", "file:///etc/passwd", "javascript:1"):
        with pytest.raises(SourceUnreachableError, match="not safe") as caught:
            redirected("https://me:pass@h/a", to)
        assert "pass@" not in str(caught.value)


@pytest.mark.parametrize("login", ["me:s3cret", "me:x@s3cret", "me:'s3cret", "s3cret"])
def test_any_login_is_left_out(login: str) -> None:
    """Also one with signs that a program would have to escape."""
    assert (
        scrub(f"no answer of https://{login}@host/a") == "no answer of https://host/a"
    )
