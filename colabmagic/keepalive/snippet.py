"""JavaScript for the browser console of Colab: it clicks Reconnect, and nothing else.

The output of a cell lives in a frame of another origin and cannot reach the page, so
nothing that a notebook shows can click there. What a person pastes into the console of
the page can. `source` gives that text; `explained` gives it below the words that a
person needs, all of it one comment, so that everything may be copied at once.

What the snippet does:

- It looks for the connect button every `every_s` seconds, through all open shadow
  roots: inside ``colab-connect-button``, and in the older places of ``#connect``.
- It clicks only what a person could click: the button is drawn, enabled, not covered,
  and what it says is exactly one of `RECONNECT_LABELS`. At most one click a minute, and
  fewer while clicks change nothing (2, 4, 8, at most 15 minutes apart).
- While a captcha or any dialog is on the page it clicks nothing. It puts a mark into the
  title of the tab and says in the console what the person must do.
- It ends by itself after `for_s` by the wall clock, also when the computer slept; by
  ``colabmagicKeepalive.stop()``; and when it is pasted again, which starts it anew.
- It sends nothing, stores nothing and changes nothing else on the page. It makes no code
  from text, so that a strict content security policy and Trusted Types let it run.

Google does not support this. It keeps no VM alive against Colab's limits on idle time,
lifetime and compute units. It was never run on Colab itself: the element names were read
in public extensions and scripts (2020 to 2026), and Colab may change them on any day;
then it says that the button was not found.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from colabmagic.keepalive.errors import KeepaliveOptionError

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_FOR_S: Final = 4 * 3600.0
LONGEST_FOR_S: Final = 12 * 3600.0
SHORTEST_FOR_S: Final = 1.0
DEFAULT_EVERY_S: Final = 60.0
SHORTEST_EVERY_S: Final = 5.0
LONGEST_EVERY_S: Final = 600.0

# The whole text of the button, by language. English and Turkish were read in scripts that
# work on Colab; the others are translations, not seen there. A label that is missing
# here costs a click that is not made; none of these means anything else.
RECONNECT_LABELS: Final[Mapping[str, tuple[str, ...]]] = {
    "en": ("Reconnect",),
    "de": ("Verbindung wiederherstellen", "Erneut verbinden", "Neu verbinden"),
    "es": ("Volver a conectar", "Reconectar"),
    "fr": ("Reconnecter", "Se reconnecter"),
    "id": ("Hubungkan kembali",),
    "it": ("Riconnetti",),
    "ja": ("再接続",),
    "ko": ("다시 연결", "재연결"),
    "nl": ("Opnieuw verbinden",),
    "pl": ("Połącz ponownie",),
    "pt": ("Reconectar", "Voltar a ligar"),
    "ru": ("Переподключиться", "Подключиться снова"),
    "tr": ("Yeniden bağlan",),
    "uk": ("Підключитися знову", "Повторно підключитися"),
    "vi": ("Kết nối lại",),
    "zh": ("重新连接", "重新連線"),
}

_PLACE = "__SETTINGS__"

_WORDS = """\
colabmagic: a script for the browser console of Google Colab

How to use it: copy everything here, this text too. On the page of the notebook
press F12 (Mac: Cmd+Option+I), choose "Console", click into it, paste, Enter.
Chrome wants the words "allow pasting" typed first. Within 5 seconds it says
whether it has found the connect button.

It runs for {length}, then stops by itself. Stop it earlier with
    colabmagicKeepalive.stop()
or by reloading the page.

It clicks the connect button when that says "Reconnect", at most once a minute,
and nothing else. While Colab shows a captcha or asks you something, it clicks
nothing: the title of the tab tells you, and you answer.

Google does not support this. It cannot keep a VM alive against Colab's limits
(idle time, lifetime, compute units), and a new VM starts empty: save what you
need. What Google itself keeps alive without a person: the command "colab"
(pip install google-colab-cli) on your own computer.

Never paste a script that you do not trust; this one is short enough to read.
"""


def source(for_s: float = DEFAULT_FOR_S, every_s: float = DEFAULT_EVERY_S) -> str:
    """Return the script, ready to be pasted.

    Parameters
    ----------
    for_s
        Seconds of wall-clock time after which it stops by itself: 1 to 43,200 (12 h).
    every_s
        Seconds from one look at the page to the next: 5 to 600. Clicks are never less
        than 60 s apart.

    Returns
    -------
    str
        JavaScript in ASCII; it also works when its line ends have become spaces.

    Raises
    ------
    KeepaliveOptionError
        If a time is no number, or outside its bounds.
    """
    every_s = _checked(
        every_s, "--every", SHORTEST_EVERY_S, LONGEST_EVERY_S, "from 5s to 10min"
    )
    for_s = _checked(for_s, "--for", SHORTEST_FOR_S, LONGEST_FOR_S, "from 1s to 12h")
    settings = {
        "for_ms": round(for_s * 1000),
        "every_ms": round(every_s * 1000),
        "labels": sorted(
            {text for texts in RECONNECT_LABELS.values() for text in texts}
        ),
    }
    return _template().replace(_PLACE, _literal(settings))


def explained(for_s: float = DEFAULT_FOR_S, every_s: float = DEFAULT_EVERY_S) -> str:
    """Return the script below the words that a person needs, as one text to be copied.

    Parameters
    ----------
    for_s, every_s
        As for `source`.

    Returns
    -------
    str
        JavaScript that begins with a comment in lines of at most 80 characters.

    Raises
    ------
    KeepaliveOptionError
        As for `source`.
    """
    script = source(for_s, every_s)
    return f"/*\n{_WORDS.format(length=_length(for_s))}*/\n{script}"


def _checked(value: object, name: str, low: float, high: float, bounds: str) -> float:
    """Return a time in seconds, or refuse it."""
    shown = repr(value)[:40]
    if isinstance(value, int | float) and not isinstance(value, bool):
        if low <= value <= high:  # nan is refused too
            return float(value)
        shown += " s"
    raise KeepaliveOptionError(
        f"{name} of the snippet cannot be {shown}", hint=f"write a time {bounds}"
    )


def _length(seconds: float) -> str:
    """Return ``4 h``, ``1 h 30 min`` or ``45 s``."""
    left = round(seconds)
    parts = [(left // 3600, "h"), (left % 3600 // 60, "min"), (left % 60, "s")]
    return " ".join(f"{count} {unit}" for count, unit in parts if count) or "1 s"


def _literal(value: object) -> str:
    """Return JSON that is safe as JavaScript, also inside of an HTML page."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False)
    for char in "<>&":  # inside of strings only: nothing else in JSON has them
        text = text.replace(char, f"\\u{ord(char):04x}")
    return text


@cache
def _template() -> str:
    """Return the script with a gap for its settings."""
    return (files(__package__) / "snippet.js").read_text(encoding="ascii")
