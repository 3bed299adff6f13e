"""How much GPUs are used, by NVML: asked in a thread of its own, and never by CUDA."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from colabmagic.gpu.facts import SourceState
from colabmagic.gpu.live.sources import NarrowNvml
from colabmagic.gpu.sources.nvml import NvmlSource, load_pynvml

if TYPE_CHECKING:
    from collections.abc import Callable

DEADLINE_S: Final = 2.0
AGAIN_S: Final = 600.0  # where there is nothing to ask, it is looked for so often
_ABSENT: Final = frozenset({SourceState.NO_BINDING, SourceState.NO_LIBRARY})


class GpuUse:
    """Reads the use of the busiest GPU; what cannot be read counts as not in use.

    Parameters
    ----------
    load
        Imports pynvml.
    now
        Seconds, for asking less often where there is nothing.
    deadline_s
        How long a driver may take.
    """

    def __init__(
        self,
        load: Callable[[], Any] = load_pynvml,
        *,
        now: Callable[[], float] = time.monotonic,
        deadline_s: float = DEADLINE_S,
    ) -> None:
        self._nvml = NarrowNvml(load)
        self._source = NvmlSource(self._nvml.load)
        self._now, self._deadline_s = now, deadline_s
        self._not_before = 0.0
        self.problem: str | None = None

    def percent(self) -> float | None:
        """Return the use of the busiest GPU in percent; None where nobody knows."""
        if self._now() < self._not_before:
            return None
        until = time.monotonic() + self._deadline_s
        self._source.start(until)
        facts = self._source.finish(until)
        if facts.state in _ABSENT or (
            facts.state is SourceState.OK and not facts.devices
        ):
            self.problem = None  # no GPU of NVIDIA is no problem
            self._rest()
            return None
        if facts.state is not SourceState.OK:
            self.problem = f"the use of GPUs is not known: {facts.reason}"
            if facts.state is not SourceState.HUNG:
                self._rest()
            return None
        known = [
            float(device.utilization_percent)
            for device in facts.devices
            if isinstance(device.utilization_percent, int | float)
        ]
        self.problem = (
            None if known else "the use of GPUs is not known: NVML tells none"
        )
        return max(known, default=None)

    def close(self) -> None:
        """Let go of the driver."""
        self._nvml.release()

    def _rest(self) -> None:
        """Close what is open, and do not ask again for a while."""
        self._nvml.release()
        self._not_before = self._now() + AGAIN_S
