"""Sizes for people."""

from __future__ import annotations


def in_words(size_bytes: float) -> str:
    """Return a number of bytes for people."""
    if size_bytes == 1:
        return "1 byte"
    for unit in ("bytes", "KB", "MB", "GB"):
        shown = f"{size_bytes:.0f}" if unit == "bytes" else f"{size_bytes:.1f}"
        if float(shown) < 1000:  # noqa: PLR2004 (decimal units)
            return f"{shown} {unit}"
        size_bytes /= 1000
    return f"{size_bytes:.1f} TB"
