"""What can go wrong with a toolkit; each class has a heading in ``docs/cuda.md``.

::

    CudaError
    ├── BadVersionError (E01, ValueError)
    ├── PlatformUnsupportedError (E02)
    ├── DriverTooOldError (E03)
    ├── CompilerTooNewError (E04)
    ├── NoHostCompilerError (E05)
    ├── GpuNotSupportedError (E06)
    ├── TorchLacksGpuError (E07)
    ├── DiskFullError (E08, OSError)
    ├── SourceUnreachableError (E09, ConnectionError)
    ├── ChecksumError (E10)
    ├── NoTorchWheelError (E11)
    ├── PackageInUseError (E12)
    ├── NeedsRootError (E13, PermissionError)
    ├── TorchIsCpuError (E14)
    ├── PtxTooNewError (E15)
    ├── NoCompilerInPackageError (E16)
    ├── ShadowedLibraryError (E17)
    ├── TwoCudasError (E18)
    ├── AptBusyError (E19)
    ├── VerifyFailedError (E20)
    ├── RequirementError (E21, ValueError)
    ├── BusyError (E22)
    └── NotInstalledError (E23, LookupError)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from colabmagic.errors import ColabMagicError

if TYPE_CHECKING:
    from colabmagic.cuda.planning.plan import Problem


class CudaError(ColabMagicError, RuntimeError):
    """Base of what can go wrong with a toolkit.

    Attributes
    ----------
    code
        As in ``docs/cuda.md``.
    """

    code: ClassVar[str] = ""


class BadVersionError(CudaError, ValueError):
    """There is no such CUDA."""

    code = "E01"


class PlatformUnsupportedError(CudaError):
    """No toolkit of this version exists for this system, processor or C library."""

    code = "E02"


class DriverTooOldError(CudaError):
    """The driver does not run programs of this CUDA."""

    code = "E03"


class CompilerTooNewError(CudaError):
    """The host's compiler is newer than this nvcc takes, and no older one can be brought."""

    code = "E04"


class NoHostCompilerError(CudaError):
    """There is no C++ compiler, and none can be brought."""

    code = "E05"


class GpuNotSupportedError(CudaError):
    """The toolkit has no code for the GPU at hand."""

    code = "E06"


class TorchLacksGpuError(CudaError):
    """The PyTorch build has no kernels for the GPU at hand."""

    code = "E07"


class DiskFullError(CudaError, OSError):
    """There is not enough room."""

    code = "E08"


class SourceUnreachableError(CudaError, ConnectionError):
    """A server does not answer, or does not have the file."""

    code = "E09"


class ChecksumError(CudaError):
    """What came is damaged, or another file than was wanted."""

    code = "E10"


class NoTorchWheelError(CudaError):
    """There is no wheel of that PyTorch for this Python and CUDA."""

    code = "E11"


class PackageInUseError(CudaError):
    """A package would change that this kernel has imported."""

    code = "E12"


class NeedsRootError(CudaError, PermissionError):
    """It needs root, and we are not."""

    code = "E13"


class TorchIsCpuError(CudaError):
    """The PyTorch here is built for the CPU."""

    code = "E14"


class PtxTooNewError(CudaError):
    """The driver cannot compile the PTX of this toolkit."""

    code = "E15"


class NoCompilerInPackageError(CudaError):
    """The package installs and brings no compiler."""

    code = "E16"


class ShadowedLibraryError(CudaError):
    """Another library is loaded in the place of the toolkit's."""

    code = "E17"


class TwoCudasError(CudaError):
    """The toolkit and PyTorch are of different CUDA majors."""

    code = "E18"


class AptBusyError(CudaError):
    """Apt is locked, or holds a package back."""

    code = "E19"


class VerifyFailedError(CudaError):
    """The toolkit is there and does not pass; everything was taken back."""

    code = "E20"


class RequirementError(CudaError, ValueError):
    """A line of the cell is no requirement of pip, or is not to be had."""

    code = "E21"


class BusyError(CudaError):
    """Another kernel is installing."""

    code = "E22"


class NotInstalledError(CudaError, LookupError):
    """There is no such toolkit in our folder."""

    code = "E23"


def error_of(problem: Problem) -> CudaError:
    """Return the error for what stands against a plan.

    Parameters
    ----------
    problem
        Of the plan; its code names the class.
    """
    kinds = {kind.code: kind for kind in CudaError.__subclasses__()}
    kind = kinds.get(problem.code, CudaError)
    return kind(problem.what, seen=problem.seen or None, hint="\n".join(problem.fix))
