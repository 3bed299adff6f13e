"""TensorFlow and JAX: are they there, for which GPUs, and do they hold one.

Neither is imported or started: TensorFlow takes nearly all memory of every GPU when it
starts, and a look from outside must not set that off.
"""

from __future__ import annotations

import contextlib
import importlib.util
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from colabmagic.gpu.facts import Build, FrameworkFacts, Unknown
from colabmagic.host.system import read_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# Compiled when they are needed, which is seldom.
_TF_CUDA: Final = r"['\"]cuda_version['\"],?\s*:?\s*['\"]([0-9.]*)['\"]"
_TF_IS: Final = r"['\"]is_(cuda|rocm)_build['\"],?\s*:?\s*(True|False)"
_JAX_VERSION: Final = r"(?m)^_version\s*=\s*['\"]([^'\"]+)['\"]"
_JAX_CUDA: Final = r"jax_cuda(\d+)_plugin"
_NOT_TOLD: Final = Unknown("its files do not tell")


def probe_frameworks(
    modules: Mapping[str, Any], folders: Mapping[str, Path] | None = None
) -> tuple[FrameworkFacts, ...]:
    """Describe TensorFlow and JAX, those of them that are installed.

    Parameters
    ----------
    modules
        Imported modules; an imported framework is only looked at.
    folders
        Folders of the packages; where left out, where Python would find them.
    """
    found = []
    readers: dict[str, Callable[[Path, Mapping[str, Any]], FrameworkFacts]] = {
        "tensorflow": _tensorflow,
        "jax": _jax,
    }
    for name, read in readers.items():
        folder = _folder(name) if folders is None else folders.get(name)
        if folder is not None:
            found.append(read(folder, modules))
    return tuple(found)


def _folder(name: str) -> Path | None:
    """Return the folder of a package, which is not imported for that."""
    with contextlib.suppress(ImportError, ValueError):  # half-removed packages
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.origin:
            return Path(spec.origin).parent
    return None


def _distribution(folder: Path, *names: str) -> str | Unknown:
    """Return the version in the name of the metadata folder beside a package."""
    for name in names:
        for path in sorted(folder.parent.glob(f"{name}-*.dist-info")):
            return path.name.removesuffix(".dist-info").partition("-")[2]
    return _NOT_TOLD


def _tensorflow(folder: Path, modules: Mapping[str, Any]) -> FrameworkFacts:
    """Describe TensorFlow."""
    info = read_text(folder / "python/platform/build_info.py") or ""
    kinds = {kind for kind, value in re.findall(_TF_IS, info) if value == "True"}
    build: Build | Unknown = _NOT_TOLD
    if info:
        build = Build.CUDA if "cuda" in kinds else Build.CPU
        build = Build.ROCM if "rocm" in kinds else build
    cuda = re.search(_TF_CUDA, info)
    context = getattr(modules.get("tensorflow.python.eager.context"), "_context", None)
    live = getattr(context, "_context_handle", None) is not None
    return FrameworkFacts(
        name="TensorFlow",
        version=_distribution(
            folder, "tensorflow", "tensorflow_cpu", "tensorflow_gpu", "tf_nightly"
        ),
        build=build,
        cuda=cuda[1] if cuda and cuda[1] else _NOT_TOLD,
        imported="tensorflow" in modules,
        holds_gpu=live and build is not Build.CPU,
    )


def _jax(folder: Path, modules: Mapping[str, Any]) -> FrameworkFacts:
    """Describe JAX, whose GPU parts are packages of their own."""
    version = re.search(_JAX_VERSION, read_text(folder / "version.py") or "")
    beside = [path.name for path in folder.parent.glob("jax*")]
    plugins = [found[1] for name in beside if (found := re.match(_JAX_CUDA, name))]
    build = Build.CPU
    if plugins:
        build = Build.CUDA
    elif any(name.startswith("jax_rocm") for name in beside):
        build = Build.ROCM
    elif (folder.parent / "libtpu").is_dir():
        build = Build.TPU
    bridge = modules.get("jax._src.xla_bridge")
    backends = getattr(bridge, "_backends", None) or {}
    return FrameworkFacts(
        name="JAX",
        version=version[1] if version else _distribution(folder, "jax"),
        build=build,
        cuda=max(plugins, key=int) if plugins else _NOT_TOLD,
        imported="jax" in modules,
        holds_gpu=any(kind in backends for kind in ("cuda", "rocm", "gpu")),
    )
