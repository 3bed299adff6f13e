"""The environment of this kernel: what ``!nvcc`` and builds in later cells see.

``LD_LIBRARY_PATH`` is left alone: it would put the toolkit's libraries before those that
PyTorch brings, and does not reach the running process anyway.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from colabmagic.cuda.flags import FLAGS, with_flags, without_flags

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping

ROOTS: Final = ("CUDA_HOME", "CUDA_PATH")  # torch reads the first, CMake the second
_PATH: Final = "PATH"
_BUILDER: Final = "torch.utils.cpp_extension"

# What a variable held before we set it; None: nothing. Of this process alone.
_before: dict[str, str | None] = {}
_set: dict[str, str] = {}  # what we set
_active: list[str] = []  # the folder that PATH begins with
_wanted: dict[
    str, dict[str, str]
] = {}  # of each toolkit that was in use: its variables
_of_torch: list[Any] = []  # what its builder held before us, if it was there already


def activate(
    root: Path,
    variables: Mapping[str, str],
    env: MutableMapping[str, str] | None = None,
) -> dict[str, str]:
    """Let this kernel, and what it starts, use a toolkit.

    Parameters
    ----------
    root
        Of the toolkit.
    variables
        What it wants beside ``CUDA_HOME``, ``CUDA_PATH`` and ``PATH``.
    env
        The environment; that of the process where left out.

    Returns
    -------
    dict
        What was set.
    """
    env = os.environ if env is None else env
    deactivate(env)
    binaries = str(root / "bin")
    path = [each for each in env.get(_PATH, os.defpath).split(os.pathsep) if each]
    rest = [each for each in path if each != binaries]
    wanted = {
        **dict.fromkeys(ROOTS, str(root)),
        **with_flags(variables, env),
        _PATH: os.pathsep.join([binaries, *rest]),
    }
    _active[:] = [binaries]  # first: what is set by half can be set back
    _wanted[str(root)] = dict(variables)
    for name, value in wanted.items():
        _before[name] = env.get(name)
        _set[name] = env[name] = value
    _tell_torch(str(root))
    return wanted


def variables_of(root: Path) -> dict[str, str] | None:
    """Return what a toolkit wanted when this process used it last; None: it did not.

    Parameters
    ----------
    root
        Of the toolkit, ours or another's.
    """
    return _wanted.get(str(root))


def deactivate(env: MutableMapping[str, str] | None = None) -> None:
    """Set everything back that `activate` has set; what others changed since stays.

    Parameters
    ----------
    env
        As for `activate`.
    """
    env = os.environ if env is None else env
    if not _active:
        return
    ours = _set.get(ROOTS[0])
    _set_back(env)
    _active.clear()
    _before.clear()
    _set.clear()
    _tell_torch_as_before(ours, env.get(ROOTS[0]))


def without_ours(env: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment as it would be if no toolkit of ours were in use.

    Parameters
    ----------
    env
        As for `activate`.
    """
    found = dict(os.environ if env is None else env)
    if _active:
        _set_back(found)
    return found


def _set_back(env: MutableMapping[str, str]) -> None:
    """Set back what still holds what we set."""
    for name, value in _before.items():
        now = env.get(name)
        if now != _set.get(name):  # changed since
            if name == _PATH and now is not None:
                path = now.split(os.pathsep)
                env[name] = os.pathsep.join(each for each in path if each != _active[0])
            elif name in FLAGS and now is not None:
                env[name] = without_flags(now, _set.get(name, ""), value)
        elif value is None:
            env.pop(name, None)
        else:
            env[name] = value


def active_root(env: Mapping[str, str] | None = None) -> Path | None:
    """Return the toolkit that this kernel uses through us; None: none.

    Parameters
    ----------
    env
        As for `activate`.
    """
    env = os.environ if env is None else env
    root = env.get(ROOTS[0])
    if _active and root is not None and str(Path(root) / "bin") == _active[0]:
        return Path(root)
    return None


def _tell_torch(root: str) -> None:
    """Change what torch's extension builder read once, when it was imported."""
    builder: Any = sys.modules.get(_BUILDER)
    if builder is not None and hasattr(builder, "CUDA_HOME"):
        _of_torch[:] = [builder.CUDA_HOME]
        builder.CUDA_HOME = root


def _tell_torch_as_before(ours: str | None, root: str | None) -> None:
    """Give torch's extension builder back what it held, or what it would find now.

    It finds more than the variable names: an nvcc on PATH, ``/usr/local/cuda``. What
    somebody has set there since stays.
    """
    builder: Any = sys.modules.get(_BUILDER)
    if builder is not None and ours and getattr(builder, "CUDA_HOME", None) == ours:
        if not _of_torch:  # imported while a toolkit of ours was in use
            search = getattr(builder, "_find_cuda_home", None)
            _of_torch[:] = [search() if callable(search) else root]
        builder.CUDA_HOME = _of_torch[0]
    _of_torch.clear()
