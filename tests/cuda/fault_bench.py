"""What an installation is tried on: a folder of ours, and NVIDIA's double."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from colabmagic.cuda.keeping.write import write_archive
from colabmagic.cuda.machine.facts import Kept
from colabmagic.cuda.rooting.assemble import assemble
from colabmagic.cuda.steps.assemble import Assemble
from colabmagic.cuda.steps.debs import FetchDebs
from colabmagic.cuda.steps.fetch import Unpack
from colabmagic.cuda.steps.kept import UnpackKept
from colabmagic.cuda.steps.redist import FetchRedist
from colabmagic.cuda.steps.runfile import FetchRunfile
from colabmagic.cuda.steps.wheels import FetchWheels
from colabmagic.cuda.store.layout import Home
from tests.fakes.nvidia.archive import REPO, Archive, make_archive
from tests.fakes.nvidia.redist import FOLDER, make_redist
from tests.fakes.nvidia.runfile import make_runfile
from tests.fakes.nvidia.trees import tiny_trees, tool
from tests.fakes.nvidia.wheels import make_index, make_wheel

if TYPE_CHECKING:
    from pathlib import Path

    from colabmagic.cuda.steps.base import Step
    from tests.fakes.nvidia.server import FileServer

USER, PASSWORD = "colab-user", "s3cret-Tok3n"
NAME = "11.1.1"
RUN = "compute/cuda_11.1.1_455.32.00_linux.run"
NVCC = "cuda_nvcc-linux"
WHEEL = "nvidia-cuda-nvcc"
MEGABYTE = 2**20


def trees(folder: Path, version: str = "11.1.105") -> dict[str, Path]:
    """Write the parts of a toolkit that is whole, tiny, and compiles nothing."""
    parts = tiny_trees(folder, version)
    for name in ("fatbinary", "nvlink", "cudafe++"):
        program = parts["cuda_nvcc"] / "bin" / name
        program.write_text(tool(name, version), "utf-8")
        program.chmod(0o755)
    return parts


@dataclass(eq=False)
class Bench:
    """A folder of ours, NVIDIA's double, and what is installed from it."""

    folder: Path
    server: FileServer
    way: str
    home_name: str = "home"
    environment: dict[str, str | None] = field(default_factory=dict)
    offline: bool = False
    interrupt_after: int | None = None
    interrupt_at: str = ""
    extra: tuple[Step, ...] = ()
    archive: Archive | None = None
    mounted: bool = False
    holder: Any = None
    keyring: str = ""
    requirement: str = f"{WHEEL}==11.1.105"
    longest_s: float = 600.0  # that a program may take
    kept: Kept | None = None

    @property
    def home(self) -> Home:
        """Return our folder."""
        return Home(self.folder / self.home_name)

    @property
    def url(self) -> str:
        """Return the server's address with a login in it."""
        return self.server.url.replace("://", f"://{USER}:{PASSWORD}@")

    @property
    def manifest(self) -> Path:
        """Return NVIDIA's list."""
        return self.server.root / FOLDER / f"redistrib_{NAME}.json"

    @property
    def runfile(self) -> Path:
        """Return the installer."""
        return self.server.root / RUN

    def lay_out(self) -> None:
        """Make what the server serves."""
        root, parts = self.server.root, trees(self.folder / "trees")
        if self.way == "redist":
            make_redist(root, NAME, parts)
        elif self.way == "archive":
            whole = self.folder / "kept-root"
            assemble(parts["cuda_nvcc"].parent, whole, "redist")
            what = Kept(path="", release=NAME, build="11.1.105", arch="x86_64")
            self.kept = write_archive(whole, self.folder / "drive", what)
        elif self.way == "runfile":
            self.runfile.parent.mkdir(parents=True)
            make_runfile(self.runfile, NAME, parts)
        elif self.way == "deb":
            self.archive = make_archive(root, self.folder / "gpg", parts)
            self.keyring = str(self.archive.keyring)
        else:
            files = {
                f"nvidia/cu11/{path.relative_to(parts[part])}": path.read_bytes()
                for part in parts
                for path in parts[part].rglob("*")
                if path.is_file()
            }
            programs = tuple(name for name in files if "/bin/" in name)
            make_wheel(root / "simple", WHEEL, "11.1.105", files, executable=programs)
            make_index(root, "simple")

    def fetching(self) -> tuple[Step, ...]:
        """Return the steps that fetch."""
        if self.way == "redist":
            url = f"{self.url}/{FOLDER}/redistrib_{NAME}.json"
            parts = ("cuda_nvcc", "cuda_cudart", "cuda_cccl")
            return (FetchRedist(manifest_url=url, parts=parts),)
        if self.kept is not None:
            fields = ("path", "sha256", "size", "files", "unpacked_bytes", "arch")
            return (UnpackKept(**{each: getattr(self.kept, each) for each in fields}),)
        if self.way == "runfile":
            return (FetchRunfile(url=f"{self.url}/{RUN}"),)
        if self.way == "deb":
            packages = ("cuda-nvcc-11-1", "cuda-cudart-dev-11-1")
            suite = f"{self.server.url}/{REPO} ./"
            return (
                FetchDebs(suites=(suite,), packages=packages, keyring=self.keyring),
            )
        return (FetchWheels(requirements=(self.requirement,)),)

    def making(self) -> tuple[Step, ...]:
        """Return the steps that make the toolkit's folder."""
        if self.way == "archive":
            return (*self.fetching(), *self.extra)
        made = [*self.fetching(), Unpack(format=self.way)]
        if self.way != "deb":  # NVIDIA's packages are only installed, by apt
            made.append(Assemble(layout=self.way, build="11.1.105"))
        return (*made, *self.extra)
