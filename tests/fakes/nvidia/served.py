"""NVIDIA's server with a toolkit that compiles: made once, kept between runs.

It takes 105 MB from the package index and a minute the first time, and lies in the
folder of `trees.store`. Nobody may write into it.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from tests.fakes.nvidia.redist import make_redist
from tests.fakes.nvidia.runfile import make_runfile
from tests.fakes.nvidia.trees import made_once, renamed_trees, store

REDIST = "11.1.1"
REDIST_BUILD = "11.1.105"
RUNFILE = "9.2.148"
RUNFILE_PATH = "compute/cuda/9.2/Prod2/local_installers/cuda_9.2.148_396.37_linux"
_NAME = "served-13.0-c"


def served_folder() -> Path:
    """Return a folder to serve: archives of 11.1.1 with their list, a runfile of 9.2.

    ``nvcc --version`` says 11.1.105 in the one and 9.2.148 in the other; both compile as
    CUDA 13.0 does. In the archives of 11.1.1 CUB and Thrust are ``cuda_thrust``.

    Raises
    ------
    OSError
        The package index does not answer.
    """
    with made_once(_NAME) as (folder, is_new):
        if is_new:
            with tempfile.TemporaryDirectory(dir=store()) as place:
                parts = renamed_trees(Path(place) / "redist", REDIST_BUILD)
                parts["cuda_thrust"] = parts.pop("cuda_cccl")
                make_redist(folder, REDIST, parts, build=REDIST_BUILD)
                parts = renamed_trees(Path(place) / "runfile", RUNFILE)
                run = folder / RUNFILE_PATH
                run.parent.mkdir(parents=True)
                make_runfile(run, RUNFILE, parts)
    return store() / _NAME


def copy_of_served(folder: Path) -> Path:
    """Return a folder of links to the files, in which a test may spoil some.

    A file must be replaced, not written into.
    """
    shutil.copytree(served_folder(), folder, copy_function=_linked)
    return folder


def _linked(source: str, target: str) -> None:
    """Link a file."""
    Path(target).symlink_to(source)
