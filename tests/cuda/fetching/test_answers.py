"""Answers, and why there was none, in words."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from colabmagic.cuda.fetching.answers import length_of, range_of, why


def answer(**headers: str) -> Any:  # noqa: ANN401 (requests publishes no types)
    """Return a response with these headers."""
    response = requests.Response()
    response.headers.update({k.replace("_", "-"): v for k, v in headers.items()})
    return response


def test_the_length_is_told_or_not() -> None:
    """Nonsense is not told."""
    assert length_of(answer(Content_Length="12")) == 12
    assert length_of(answer(Content_Length="-1")) is None
    assert length_of(answer()) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("bytes 5-9/10", (5, 10)),
        ("bytes 5-9/*", (5, None)),
        ("bytes */10", (None, 10)),
        ("items 5-9/10", (None, None)),
        ("", (None, None)),
    ],
)
def test_a_range_is_read(text: str, expected: tuple[int | None, int | None]) -> None:
    """As RFC 9110 has it."""
    assert range_of(answer(Content_Range=text)) == expected


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (requests.ConnectionError("NameResolutionError(...)"), "not known"),
        (requests.exceptions.SSLError("CERTIFICATE_VERIFY_FAILED"), "certificate"),
        (requests.exceptions.ProxyError("x"), "proxy"),
        (requests.ReadTimeout("Read timed out."), "no answer in time"),
        (ConnectionResetError(104, "Connection reset by peer"), "was reset"),
        (ValueError("other"), "other"),
        (ValueError(), "ValueError"),
    ],
)
def test_a_failure_is_said_in_words(error: Exception, words: str) -> None:
    """Without the names of Python's classes, where that can be."""
    assert words in why(error)
