"""A Colab for tests: a machine in a folder, and a page that answers its kernel."""

from __future__ import annotations

import contextlib
import importlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.fakes.colab.pages import PROFILES, REFUSAL, Page

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["PROFILES", "REFUSAL", "Machine", "Page", "importable"]

FOLDER = Path(__file__).parent
_ROOT_VARIABLE = "FAKE_COLAB_ROOT"
# What `umount` of the machine does; the real one would find no mount.
_UMOUNT = """#!{python} -IS
import os, sys
sys.path.insert(0, {package!r})
os.environ["FAKE_COLAB_ROOT"] = {root!r}
import _machine
from pathlib import Path
_machine.unmount(Path(sys.argv[-1]))
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
                package=str(FOLDER / "google/colab"),
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
        """The variables that a kernel of Colab has, as far as Drive needs them."""
        return {
            _ROOT_VARIABLE: str(self.root),
            "COLAB_RELEASE_TAG": "release-colab_20250902-060000_RC00",
            "HOME": str(self.home),
            "TBE_EPHEM_CREDS_ADDR": "127.0.0.1:8009",
            "USE_AUTH_EPHEM": "1",
        }

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
            "import os, sys\n"
            f"os.environ.update({self.env!r})\n"
            f"sys.path.insert(0, {str(FOLDER)!r})\n"
            "from pathlib import Path\n"
            "from colabmagic.drive import colab\n"
            "for function in (colab.mount, colab.flush_and_unmount, colab.secret,\n"
            "                 colab.authenticate):\n"
            f"    function.__kwdefaults__['sysroot'] = Path({str(self.root)!r})\n"
        )


@contextlib.contextmanager
def importable(page: Page) -> Iterator[Any]:
    """Make the double importable in this process; yield its `_message`.

    ``google`` is a namespace shared with google-auth: with our folder on `sys.path` it
    finds the double too. Where another package made it an ordinary one, its path is
    extended instead.

    Parameters
    ----------
    page
        Answers instead of a front end.
    """
    sys.path.insert(0, str(FOLDER))
    google = sys.modules.get("google")
    path = getattr(google, "__path__", None)
    extended = isinstance(path, list)
    if extended:
        path.append(str(FOLDER / "google"))
    importlib.invalidate_caches()
    try:
        message = importlib.import_module("google.colab._message")
        message.page = page
        message.asked.clear()
        yield message
    finally:
        sys.path.remove(str(FOLDER))
        if extended:
            path.remove(str(FOLDER / "google"))
        for name in [n for n in sys.modules if n.split(".")[:2] == ["google", "colab"]]:
            del sys.modules[name]
        google = sys.modules.get("google")
        if google is not None and hasattr(google, "colab"):
            del google.colab
