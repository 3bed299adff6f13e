"""No password of the user is shown, written or kept."""

from __future__ import annotations

import re

HIDDEN = "****"

# What stands between "//" and "@": a name, a name and a password, or a token. A path
# does not begin before the "@", so that "name @ https://host/a@1" is left alone.
# Quotes may be a part of it.
_USER = re.compile(r"(?<=://)[^/\s@]*(?:@[^/\s@]*)*(?=@)")
_QUERY = re.compile(
    r"([?&;](?:[\w-]*(?:token|key|secret|password|passwd|pwd|signature|sig|auth)"
    r"[\w-]*)=)[^&;#\s'\"]+",
    re.IGNORECASE,
)


def scrub(text: str) -> str:
    """Return a text without the names and passwords in its URLs.

    Parameters
    ----------
    text
        Anything: a URL, a command, what a program wrote.
    """
    return _QUERY.sub(rf"\g<1>{HIDDEN}", _USER.sub(HIDDEN, text))


def has_secret(text: str) -> bool:
    """Tell whether something would be hidden."""
    return scrub(text) != text
