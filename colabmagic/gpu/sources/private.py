"""What of a machine stays private: notebooks get shared, and reports with them."""

from __future__ import annotations

import re

_PUBLIC = ("/usr/", "/lib", "/opt/nvidia", "/opt/conda")
_TELLING = re.compile(r"/(?:cuda|nvidia|stubs|compat|wsl)[^/]*", re.IGNORECASE)
_HOME = re.compile(r"^(/home/|/Users/)[^/]+")
_WORD = re.compile(r"[\w.-]{0,30}", re.ASCII)
_UUID = re.compile(r"\b(GPU|MIG)-[0-9A-Za-z-/]+")


def public_folders(value: str | None) -> str | None:
    """Return the folders of a search path, those that may be private without names.

    Notebooks get shared; what matters here lies in the system's own folders, or is
    called after CUDA.
    """
    if value is None:
        return None
    shown = [
        mask_home(part) if part.startswith(_PUBLIC) or _TELLING.search(part) else "…"
        for part in value.split(":")
    ]
    return ":".join(shown)


def mask_home(path: str) -> str:
    """Hide the name of a user in a path."""
    return _HOME.sub(r"\1…", path)


def plain_word(value: str | None) -> str | None:
    """Return a short plain word; anything else is not what the variable is for."""
    return value if value is None or _WORD.fullmatch(value) else "…"


def mask_uuids(text: str) -> str:
    """Hide the serial part of GPU names: notebooks get shared."""
    return _UUID.sub(r"\1-(hidden)", text)
