"""An index of wheels, as pip reads one (PEP 503), at paths such as ``/whl/cu111``."""

from __future__ import annotations

import base64
import hashlib
import re
import zipfile
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def make_wheel(  # noqa: PLR0913 (by keyword)
    folder: Path,
    name: str,
    version: str,
    files: Mapping[str, bytes] | None = None,
    *,
    tag: str = "py3-none-any",
    executable: tuple[str, ...] = (),
    requires: tuple[str, ...] = (),
) -> Path:
    """Write a wheel that pip installs; return its path."""
    stem = f"{name.replace('-', '_')}-{version}"
    info = f"{stem}.dist-info"
    content = {
        **(
            files
            or {f"{name.replace('-', '_')}.py": f"VERSION = {version!r}\n".encode()}
        ),
        f"{info}/METADATA": (
            f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
            + "".join(f"Requires-Dist: {each}\n" for each in requires)
        ).encode(),
        f"{info}/WHEEL": (
            f"Wheel-Version: 1.0\nGenerator: double\nRoot-Is-Purelib: true\nTag: {tag}\n"
        ).encode(),
    }
    record = "".join(
        f"{path},sha256={_record_hash(data)},{len(data)}\n"
        for path, data in content.items()
    )
    content[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()
    folder.mkdir(parents=True, exist_ok=True)
    wheel = folder / f"{stem}-{tag}.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in content.items():
            entry = zipfile.ZipInfo(path)
            mode = 0o755 if path in executable else 0o644
            entry.external_attr = (0o100000 | mode) << 16
            archive.writestr(entry, data)
    return wheel


def _record_hash(data: bytes) -> str:
    """Return a hash as RECORD has it."""
    digest = hashlib.sha256(data).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def make_index(root: Path, prefix: str = "whl/cu111") -> None:
    """Write the pages of an index over the wheels in its folder.

    Parameters
    ----------
    root
        The folder that a server serves.
    prefix
        Of the index in it; its wheels lie in this folder.
    """
    index = root / prefix
    pages: dict[str, list[str]] = {}
    for wheel in sorted(index.glob("*.whl")):
        project = re.sub(r"[-_.]+", "-", wheel.name.split("-")[0]).lower()
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        pages.setdefault(project, []).append(
            f'<a href="../{quote(wheel.name)}#sha256={digest}">{wheel.name}</a><br>'
        )
    for project, links in pages.items():
        page = index / project / "index.html"
        page.parent.mkdir(exist_ok=True)
        page.write_text("<!DOCTYPE html><html><body>" + "\n".join(links), "utf-8")
    (index / "index.html").write_text(
        "<!DOCTYPE html><html><body>"
        + "\n".join(f'<a href="{each}/">{each}</a>' for each in pages),
        "utf-8",
    )
