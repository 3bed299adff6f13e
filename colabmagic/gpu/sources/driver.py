"""Ask the CUDA driver, in a child process.

``cuInit`` in our own process would spoil it for forks and for every launcher that
refuses a process where CUDA is live. The child has a time limit and imports nothing.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from colabmagic.gpu.facts import CudaDevice, DriverFacts, SourceState, Unknown
from colabmagic.gpu.sources.nvml_fields import split_cuda
from colabmagic.gpu.sources.plausible import is_capability, is_size
from colabmagic.gpu.sources.private import mask_home
from colabmagic.host import command, fork

if TYPE_CHECKING:
    from collections.abc import Mapping

_MOST_CHARACTERS = 2**20
_KINDS: dict[str, type] = {
    "missing": str, "path": str, "version": int, "code": int, "count": int,
    "asked": str, "device": dict,
}  # fmt: skip
# Runs with -I -S: no site packages, no user settings, 15 ms. It prints one JSON
# line after each step, so that a hang still shows how far it came.
_CHILD = r"""
import ctypes, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, 9)  # PR_SET_PDEATHSIG: a stuck child goes with its parent
def tell(**facts):  # numbers, lists of numbers, ASCII text: JSON's own words for them
    sys.stdout.write("{" + ", ".join(map(pair, facts.items())) + "}\n")
    sys.stdout.flush()
def pair(item):
    return '"%s": %s' % (item[0], word(item[1]))
def word(value):
    if isinstance(value, dict):
        return "{" + ", ".join(map(pair, value.items())) + "}"
    if isinstance(value, str):
        return '"%s"' % "".join("\\u%04x" % n for n in units(value))
    return str(value)
def units(text):
    data = text.encode("utf-16-be", "surrogatepass")
    return [data[n] << 8 | data[n + 1] for n in range(0, len(data), 2)]
try:
    cuda = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
except OSError as error:
    tell(missing=str(error))
    raise SystemExit
try:
    with open("/proc/self/maps") as maps:
        names = [line.split(None, 5)[-1].strip() for line in maps]
    tell(path=[name for name in names if "libcuda.so" in name][0])
except (OSError, IndexError):
    pass
number = ctypes.c_int()
if cuda.cuDriverGetVersion(ctypes.byref(number)) == 0:
    tell(version=number.value)
code = cuda.cuInit(0)
tell(code=code)
if code == 0:
    code = cuda.cuDeviceGetCount(ctypes.byref(number))
    if code:
        tell(code=code, asked="cuDeviceGetCount")
if code == 0:
    count = number.value
    tell(count=count)
    for index in range(count):
        device, major, minor = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
        name, bus = (ctypes.c_char * 256)(), (ctypes.c_char * 32)()
        size = ctypes.c_size_t()
        if cuda.cuDeviceGet(ctypes.byref(device), index):
            continue
        facts = {}
        if cuda.cuDeviceGetName(name, 256, device) == 0:
            facts["name"] = name.value.decode("utf-8", "replace")
        if (cuda.cuDeviceGetAttribute(ctypes.byref(major), 75, device) == 0
                and cuda.cuDeviceGetAttribute(ctypes.byref(minor), 76, device) == 0):
            facts["cc"] = [major.value, minor.value]
        if cuda.cuDeviceTotalMem_v2(ctypes.byref(size), device) == 0:
            facts["total"] = size.value
        if cuda.cuDeviceGetPCIBusId(bus, 32, device) == 0:
            facts["bus"] = bus.value.decode("ascii", "replace")
        tell(device=facts)
"""


class DriverFork:
    """CUDA tried in a fork of this process: `start` it before any thread.

    Notes
    -----
    Where a fork is not possible, `finish` tries it in a process of its own.
    """

    def __init__(self) -> None:
        self._forked: fork.Forked | None = None

    def start(self) -> None:
        """Begin to ask."""
        if sys.platform == "linux" and fork.can_fork():
            import ctypes  # noqa: F401, PLC0415 (once, for the child and for NVML)

            self._forked = fork.Forked(_CHILD)

    def finish(self, timeout_s: float) -> DriverFacts:
        """Return what the CUDA driver answers within `timeout_s`; never raises."""
        if self._forked is None:
            return probe_driver(timeout_s)
        return read_outcome(self._forked.finish(timeout_s))

    def close(self) -> None:
        """End the child, if it is still there."""
        if self._forked is not None:
            self._forked.close()


def probe_driver(
    timeout_s: float,
    env: Mapping[str, str] | None = None,
    executable: str | None = None,
    platform: str = sys.platform,
) -> DriverFacts:
    """Return what the CUDA driver answers within `timeout_s`; never raises."""
    if platform == "darwin":
        reason = "there is no CUDA on macOS"
        return DriverFacts(state=SourceState.NOT_ASKED, reason=reason)
    python = executable or sys.executable
    if not python:
        reason = "the path of Python is not known, so no child can be started"
        return DriverFacts(state=SourceState.FAILED, reason=reason)
    argv = [python, "-I", "-S", "-c", _CHILD]
    return read_outcome(command.run(argv, timeout_s=timeout_s, env=env))


def read_outcome(outcome: command.CommandOutcome) -> DriverFacts:
    """Return the facts in what the child printed."""
    told: dict[str, Any] = {}
    devices = []
    for line in outcome.stdout[:_MOST_CHARACTERS].splitlines():
        step = _read_step(line)
        if "device" in step:
            devices.append(_read_device(step["device"]))
        else:
            told.update(step)
    state, reason = _judge(told, outcome)
    version = told.get("version")
    return DriverFacts(
        state=state,
        reason=reason,
        code=told.get("code"),
        library_path=mask_home(told["path"]) if "path" in told else Unknown("not seen"),
        cuda_version=Unknown("not told") if version is None else split_cuda(version),
        devices=tuple(devices),
    )


def _read_step(line: str) -> dict[str, Any]:
    """Return what a line tells; nothing, where a driver has printed it."""
    try:
        step = json.loads(line)
    except (ValueError, RecursionError):  # or the cut end of a line
        return {}
    if not isinstance(step, dict):
        return {}
    return {
        name: value
        for name, value in step.items()
        if isinstance(value, _KINDS.get(name, ())) and not isinstance(value, bool)
    }


def _judge(
    told: dict[str, Any], outcome: command.CommandOutcome
) -> tuple[SourceState, str | None]:
    """Return the state of the driver and the reason of a bad one."""
    if "missing" in told:
        return SourceState.NO_LIBRARY, str(told["missing"])
    if outcome.timed_out:
        return SourceState.HUNG, "the CUDA driver did not answer in time"
    code = told.get("code")
    if code:
        return SourceState.REFUSED, f"{told.get('asked', 'cuInit')} returned {code}"
    if code is None and outcome.returncode and ("path" in told or "version" in told):
        ended = f"exit status {outcome.returncode}"
        return SourceState.REFUSED, f"starting CUDA ended the process ({ended})"
    if code is None or not outcome.ok:
        last = (outcome.error or outcome.stderr).strip().splitlines()[-1:]
        detail = last[0] if last and not outcome.flooded else outcome.how
        return SourceState.FAILED, f"the child process failed: {detail}"
    return SourceState.OK, None


def _read_device(told: dict[str, Any]) -> CudaDevice:
    """Return one GPU out of what the child told."""
    missing = Unknown("the driver did not tell")
    cc, total = told.get("cc"), told.get("total")
    pair = tuple(cc) if isinstance(cc, list) else ()
    is_pair = [type(one) for one in pair] == [int, int]
    return CudaDevice(
        name=_text(told.get("name")) or missing,
        compute_capability=(pair[0], pair[1])
        if is_pair and is_capability((pair[0], pair[1]))
        else missing,
        memory_total_bytes=total
        if isinstance(total, int) and total > 0 and is_size(total)
        else missing,
        pci_bus_id=_text(told.get("bus")) or missing,
    )


def _text(value: object) -> str:
    """Return a text, an empty one where it is none."""
    return value.strip() if isinstance(value, str) else ""
