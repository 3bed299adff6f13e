"""Ask NVML, the driver's management library, through ``pynvml``.

It runs in a thread of its own, for a broken driver can keep a call for ever; ctypes
releases the interpreter meanwhile. NVML does not initialise CUDA.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from colabmagic.gpu.facts import DeviceFacts, NvmlFacts, SourceState, Unknown
from colabmagic.gpu.sources import nvml_fields
from colabmagic.gpu.sources.nvml_details import HEALTH, REST

if TYPE_CHECKING:
    from collections.abc import Callable

LIBRARY_NOT_FOUND = 12
_MOST_GPUS = 1024
_SPARE_S = 0.1  # the reader stops asking so long before the deadline
_FIELDS = (*nvml_fields.FIELDS, *HEALTH)
_LATE = Unknown("the driver did not answer in time")


def load_pynvml() -> Any:  # noqa: ANN401 (an untyped module)
    """Import pynvml: 40 ms, so never before somebody asks for GPUs."""
    import pynvml  # noqa: PLC0415 (lazy, and it may be missing)

    return pynvml


class NvmlSource:
    """NVML with a deadline: `start` asks, `finish` returns what came.

    A thread that a driver keeps cannot be ended, so while one is stuck no other
    is started.
    """

    def __init__(self, load: Callable[[], Any] = load_pynvml) -> None:
        self._load = load
        self._lock = threading.Lock()
        self._reading: _Reading | None = None
        self._stuck = False

    def start(self, until: float, *, all_fields: bool = False) -> None:
        """Begin to read; `until` is a time of ``time.monotonic``."""
        with self._lock:
            running = self._reading is not None and self._reading.is_alive()
            self._stuck = running and self._reading.is_overdue()  # type: ignore[union-attr]
            if running:
                return  # another thread has just asked: its answer is ours too
            fields = (*_FIELDS, *REST) if all_fields else _FIELDS
            reading = _Reading(self._load, until - _SPARE_S, fields)
            reading.start()
            self._reading = reading

    def finish(self, until: float) -> NvmlFacts:
        """Wait for the answer, at most `until`, and return what there is."""
        with self._lock:
            reading, stuck = self._reading, self._stuck
        if reading is None or stuck:
            reason = "the driver still has not answered an earlier question"
            return NvmlFacts(state=SourceState.HUNG, reason=reason)
        reading.join(max(0.0, until - time.monotonic()))
        return reading.facts()


class _Reading(threading.Thread):
    """One pass over the GPUs; can be looked at before it is through."""

    def __init__(
        self,
        load: Callable[[], Any],
        stop_at: float,
        fields: tuple[nvml_fields.NvmlField, ...] = _FIELDS,
    ) -> None:
        super().__init__(name="colabmagic-nvml", daemon=True)
        self._load = load
        self._stop_at = stop_at
        self._fields = fields
        self._result = NvmlFacts(
            state=SourceState.HUNG, reason="the driver did not answer in time"
        )
        self._devices: list[dict[str, Any]] = []

    def is_overdue(self) -> bool:
        """Tell whether whoever asked has stopped waiting."""
        return time.monotonic() >= self._stop_at + _SPARE_S

    def facts(self) -> NvmlFacts:
        """Return what has been read so far."""
        result = self._result
        devices = tuple(DeviceFacts(**dict(device)) for device in list(self._devices))
        return NvmlFacts(
            state=result.state,
            reason=result.reason,
            code=result.code,
            driver_version=result.driver_version,
            cuda_version=result.cuda_version,
            devices=devices,
        )

    def run(self) -> None:
        """Read everything; a failure becomes the state of the source."""
        try:
            nvml = self._load()
        except ImportError:
            reason = "the Python package nvidia-ml-py is not installed"
            self._fail(SourceState.NO_BINDING, reason)
            return
        except Exception as error:  # noqa: BLE001 (a broken package says nothing)
            self._fail(SourceState.FAILED, f"pynvml: {error!r}")
            return
        try:
            nvml.nvmlInit()
        except Exception as error:  # noqa: BLE001 (the border to a foreign library)
            self._refuse(error)
            return
        try:
            self._read_all(nvml)
        except Exception as error:  # noqa: BLE001 (the border to a foreign library)
            self._refuse(error)
        finally:
            nvml_fields.ask(nvml.nvmlShutdown)

    def _fail(self, state: SourceState, reason: str, code: int | None = None) -> None:
        """Note why nothing could be read."""
        self._result = NvmlFacts(state=state, reason=reason, code=code)

    def _refuse(self, error: Exception) -> None:
        """Note the error that NVML as a whole answered with."""
        code = nvml_fields.error_code(error)
        if code is None:
            self._fail(SourceState.FAILED, f"NVML: {error!r}")
        elif code == LIBRARY_NOT_FOUND:
            self._fail(SourceState.NO_LIBRARY, "NVML's library was not found", code)
        else:
            self._fail(SourceState.REFUSED, str(error), code)

    def _read_all(self, nvml: Any) -> None:  # noqa: ANN401 (an untyped module)
        """Read the versions, then all GPUs field by field, the vital ones first."""
        count = nvml.nvmlDeviceGetCount()
        if not 0 <= count <= _MOST_GPUS:
            self._fail(SourceState.FAILED, f"NVML lists {count} GPUs, which cannot be")
            return
        self._devices.extend(
            nvml_fields.blank(index, _LATE, self._fields) for index in range(count)
        )
        self._result = NvmlFacts(state=SourceState.OK)
        self._result = NvmlFacts(
            state=SourceState.OK,
            driver_version=nvml_fields.driver_version(nvml),
            cuda_version=nvml_fields.cuda_version(nvml),
        )
        handles = {}
        for device in self._devices:
            if not self._in_time():
                return
            handle = nvml_fields.open_device(nvml, device)
            if handle is not None:
                handles[device["index"]] = handle
        for field in self._fields:
            for index, handle in handles.items():
                if not self._in_time():
                    return
                nvml_fields.read_field(nvml, handle, field, self._devices[index])

    def _in_time(self) -> bool:
        """Tell whether there is time for one more question."""
        return time.monotonic() < self._stop_at


SOURCE = NvmlSource()  # one a process, so that a stuck driver is asked once
