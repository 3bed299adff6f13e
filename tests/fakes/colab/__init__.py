"""A Colab for tests: a machine in a folder, and a page that answers its kernel."""

from __future__ import annotations

import contextlib
import importlib
import json
import sys
from typing import TYPE_CHECKING, Any

from tests.fakes.colab import colab_inside
from tests.fakes.colab.pages import PROFILES, REFUSAL, Page

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["PROFILES", "REFUSAL", "Machine", "Page", "importable"]

# The machine's `umount`: it knows the pretended mounts, and takes real ones away too.
_UMOUNT = """#!{python} -IS
import os, subprocess, sys
sys.path.insert(0, {package!r})
os.environ["FAKE_COLAB_ROOT"] = {root!r}
path = sys.argv[-1]
if f" {{path}} " in open("/proc/self/mounts").read():
    subprocess.run(["umount", "-f", "-l", path], check=True)
import _machine
from pathlib import Path
_machine.unmount(Path(path))
"""


class Machine:
    """A virtual machine of Colab, below a folder.

    Parameters
    ----------
    root
        An empty folder; the machine's ``/``.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        for folder in (
            "var/colab",
            "proc/self",
            "content",
            "home",
            "bin",
            "google/drive",
        ):
            (root / folder).mkdir(parents=True)
        for folder in ("MyDrive", "Shareddrives"):
            (root / "google/drive" / folder).mkdir()
        (root / "var/colab/hostname").write_text("colab\n")
        (root / "proc/self/mounts").write_text("overlay / overlay rw,relatime 0 0\n")
        umount = root / "bin/umount"
        umount.write_text(
            _UMOUNT.format(
                python=sys.executable,
                package=str(colab_inside.FOLDER / "google/colab"),
                root=str(root),
            )
        )
        umount.chmod(0o755)

    @property
    def mountpoint(self) -> Path:
        """Where users mount Drive."""
        return self.root / "content/drive"

    @property
    def home(self) -> Path:
        """The user's folder."""
        return self.root / "home"

    @property
    def log(self) -> Path:
        """What the Drive program writes."""
        return self.home / ".config/Google/DriveFS/Logs/drive_fs.txt"

    @property
    def env(self) -> dict[str, str]:
        """The variables that a kernel of it has."""
        return colab_inside.environment(self.root)

    def behave(self, **how: Any) -> None:  # noqa: ANN401 (plain JSON)
        """Say how the machine is to behave; see the double's `_machine`."""
        (self.root / "behaviour.json").write_text(json.dumps(how))

    def mounted(self) -> list[str]:
        """Return the mountpoints of Drive in the mount table."""
        rows = (self.root / "proc/self/mounts").read_text().splitlines()
        return [row.split()[1] for row in rows if row.split()[2] == "fuse.drive"]

    def add_mount(
        self, path: Path, kind: str = "fuse.drive", source: str = "drive"
    ) -> None:
        """Write a row into the mount table."""
        with (self.root / "proc/self/mounts").open("a") as file:
            file.write(f"{source} {path} {kind} rw,nosuid 0 0\n")

    def kernel_code(self) -> str:
        """Return what makes a kernel one of this machine."""
        return (
            f"import sys; sys.path.insert(0, {str(colab_inside.FOLDER)!r})\n"
            f"import colab_inside; colab_inside.enter({str(self.root)!r})\n"
        )

    def kernel_undo_code(self) -> str:
        """Return what makes it an ordinary one again."""
        return (
            "import sys, colab_inside; colab_inside.leave()\n"
            f"del sys.modules['colab_inside']; sys.path.remove({str(colab_inside.FOLDER)!r})\n"
        )


@contextlib.contextmanager
def importable(page: Page) -> Iterator[Any]:
    """Make the double importable in this process; yield its `_message`.

    Parameters
    ----------
    page
        Answers instead of a front end.
    """
    colab_inside.add_package()
    try:
        message = importlib.import_module("google.colab._message")
        message.page = page
        yield message
    finally:
        colab_inside.remove_package()
