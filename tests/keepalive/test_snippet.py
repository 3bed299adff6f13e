"""The text of the snippet: bounded, plain ASCII, and without what it promises not to do.

What it does in a browser is tested in ``tests/browser/test_snippet.py``.
"""

from __future__ import annotations

import json
import math
import re
import unicodedata
from typing import Any

import pytest

from colabmagic.errors import ColabMagicError
from colabmagic.keepalive import snippet
from colabmagic.keepalive.errors import KeepaliveOptionError

HOUR_S = 3600.0
SETTINGS = re.compile(r"const SETTINGS = (\{.*?\});")

# Whatever sends, stores, makes code from text, or draws: the snippet needs none of it.
UNWANTED = (
    "eval(", "Function(", "import(", "innerHTML", "outerHTML", "insertAdjacent",
    "document.write", "createElement", "appendChild", ".append(", "setAttribute",
    "fetch(", "XMLHttpRequest", "sendBeacon", "WebSocket", "EventSource", "Worker",
    "localStorage", "sessionStorage", "indexedDB", "cookie", "caches", "clipboard",
    "dispatchEvent", ".focus(", ".submit(", "requestSubmit", "history.", "location",
    "window.open", "setInterval", "postMessage", "Notification", ".style.",
)  # fmt: skip


def settings_of(script: str) -> dict[str, Any]:
    """Return what was put into the script."""
    (text,) = SETTINGS.findall(script)
    settings: dict[str, Any] = json.loads(text)
    return settings


def test_by_default_it_ends_after_four_hours() -> None:
    """And looks once a minute."""
    settings = settings_of(snippet.source())
    assert settings["for_ms"] == 4 * 3_600_000
    assert settings["every_ms"] == 60_000


@pytest.mark.parametrize(
    ("for_s", "every_s"), [(1, 5), (12 * HOUR_S, 600), (90.4567, 7.5)]
)
def test_the_times_are_whole_milliseconds(for_s: float, every_s: float) -> None:
    """Both ends of what is allowed, and something in between."""
    settings = settings_of(snippet.source(for_s, every_s))
    assert settings["for_ms"] == round(for_s * 1000)
    assert settings["every_ms"] == round(every_s * 1000)


@pytest.mark.parametrize(
    "value",
    [
        0,
        -1,
        12 * HOUR_S + 1,
        1e300,
        10**400,
        math.inf,
        -math.inf,
        math.nan,
        True,
        None,
        "4h",
        "1;x",
    ],
    ids=repr,
)
def test_other_lengths_are_refused(value: Any) -> None:  # noqa: ANN401 (wrong on purpose)
    """Never beyond 12 h, and nothing but a number gets into the script."""
    with pytest.raises(KeepaliveOptionError) as caught:
        snippet.source(for_s=value)
    assert isinstance(caught.value, ColabMagicError)
    first, hint = caught.value.render()
    shown = f"{value!r} s" if type(value) in {int, float} else repr(value)
    wanted = f"KeepaliveOptionError: --for of the snippet cannot be {shown}"
    assert first == wanted if len(repr(value)) < 40 else len(first) < 100
    assert hint == "  try:  write a time from 1s to 12h"


@pytest.mark.parametrize("value", [0, 4.9, 600.1, math.nan, False, "60s"], ids=repr)
def test_other_periods_are_refused(value: Any) -> None:  # noqa: ANN401 (wrong on purpose)
    """As `%keepalive` itself: every 5 s to 10 min."""
    with pytest.raises(KeepaliveOptionError, match="--every of the snippet cannot be"):
        snippet.explained(every_s=value)


def test_nothing_is_left_to_fill_in() -> None:
    """The gap is there once, and filled."""
    script = snippet.source()
    assert "__" not in script
    assert len(SETTINGS.findall(script)) == 1


def test_the_labels_are_those_of_the_constant() -> None:
    """Exact texts: trimmed, in the normal form that the script compares with."""
    labels = settings_of(snippet.source())["labels"]
    wanted = {text for texts in snippet.RECONNECT_LABELS.values() for text in texts}
    assert labels == sorted(wanted)
    assert "Reconnect" in labels
    for label in labels:
        assert label == unicodedata.normalize("NFC", label).strip()
        assert label
        assert label not in {"Connect", "Connected", "Verbinden", "OK", "Cancel"}


def test_it_is_ascii_and_safe_in_a_page() -> None:
    """No encoding, no end of a script element, no odd line end can break it."""
    for script in (snippet.source(), snippet.explained()):
        assert script.isascii()
        assert "</" not in script
        assert "<!--" not in script
        assert "\t" not in script


def test_a_label_cannot_leave_its_quotes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the text is, it stays a text."""
    evil = "\"'`${x}\\</script><!--\u2028\n*/"
    monkeypatch.setattr(snippet, "RECONNECT_LABELS", {"xx": (evil,)})
    script = snippet.source()
    assert settings_of(script)["labels"] == [evil]
    assert "</script>" not in script
    assert script.isascii()


def test_it_holds_no_line_comment() -> None:
    """It may be pasted where line ends become spaces."""
    assert "//" not in snippet.source()


@pytest.mark.parametrize("word", UNWANTED)
def test_it_does_nothing_that_it_does_not_say(word: str) -> None:
    """No network, no storage, no code from text, no change of the page."""
    assert word not in snippet.source()


def test_it_clicks_in_one_place() -> None:
    """And writes to nothing of the page but its title."""
    script = snippet.source()
    assert script.count(".click()") == 1
    assert "seen.target.click()" in script
    assert set(re.findall(r"(document\.\w+|window\[?\w+\]?) = ", script)) == {
        "document.title",
        "window[NAME]",
    }


@pytest.mark.parametrize(
    ("for_s", "words"),
    [
        (4 * HOUR_S, "4 h"),
        (1.5 * HOUR_S, "1 h 30 min"),
        (45, "45 s"),
        (12 * HOUR_S, "12 h"),
        (1.2, "1 s"),
    ],
)
def test_the_words_tell_the_length(for_s: float, words: str) -> None:
    """In units that a person uses."""
    assert f"It runs for {words}, then stops by itself." in snippet.explained(for_s)


def test_the_words_are_one_comment_above_the_script() -> None:
    """So that a person may copy all that the cell shows."""
    text = snippet.explained(7200, 30)
    words, end, script = text.partition("*/\n")
    assert words.startswith("/*\n")
    assert end
    assert script == snippet.source(7200, 30)
    assert max(map(len, words.splitlines())) <= 80


@pytest.mark.parametrize(
    "words",
    [
        "Google does not support this.",
        "It cannot keep a VM alive against Colab's limits",
        "colabmagicKeepalive.stop()",
        "at most once a minute",
        "captcha",
        "allow pasting",
        "Within 5 seconds",
    ],
)
def test_the_words_are_honest(words: str) -> None:
    """What a person must know before pasting."""
    assert words in " ".join(snippet.explained().split())
