"""No password of the user is shown, written or kept."""

from __future__ import annotations

import re

HIDDEN = "****"

# What stands between "//" and "@": a name, a name and a password, or a token. A path
# does not begin before the "@", so that "name @ https://host/a@1" is left alone.
# Quotes may be a part of it.
_USER = re.compile(r"(?<=://)[^/\s@]*(?:@[^/\s@]*)*(?=@)")
# A proxy in pip's settings needs no scheme: "me:password@host:3128".
_BARE = re.compile(
    r"(?:^|(?<=[\s'\"=]))[\w.%+~-]{1,99}:[^\s/@]{1,199}(?=@[\w\[])", re.MULTILINE
)
_QUERY = re.compile(
    r"([?&;](?:[\w-]*(?:token|key|secret|password|passwd|pwd|signature|sig|auth)"
    r"[\w-]*)=)[^&;#\s'\"]+",
    re.IGNORECASE,
)


def scrub(text: str) -> str:
    """Return a text without the names and passwords in its URLs and proxies.

    Parameters
    ----------
    text
        Anything: a URL, a command, what a program wrote.
    """
    bare = _BARE.sub(HIDDEN, _USER.sub(HIDDEN, text))
    return _QUERY.sub(rf"\g<1>{HIDDEN}", bare)


def has_secret(text: str) -> bool:
    """Tell whether something would be hidden."""
    return scrub(text) != text
