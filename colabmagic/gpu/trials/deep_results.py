"""What frameworks can do on each device, put together from what children tell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from colabmagic.gpu.trials.child import ChildEnd, Event
    from colabmagic.report.progress import Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One operation on one device.

    Parameters
    ----------
    message
        The framework's own words when it failed; None where it worked.
    """

    device: str
    operation: str
    message: str | None

    @property
    def ok(self) -> bool:
        """Tell whether it worked and the result was right."""
        return self.message is None


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameworkTrials:
    """All trials of one framework.

    Parameters
    ----------
    names
        Device and its name, in the framework's order.
    no_accelerator
        What the framework says when it sees no accelerator; None where it sees one.
    import_error
        The message of an import that failed.
    stopped
        Why the child did not come to its end; None where it did.
    last_step
        What it had begun by then.
    stderr
        What it wrote to its error stream, the end of it.
    """

    framework: str
    version: str | None
    names: tuple[tuple[str, str], ...]
    trials: tuple[Trial, ...]
    no_accelerator: str | None
    import_error: str | None
    stopped: str | None
    last_step: str
    stderr: str

    @property
    def ok(self) -> bool:
        """Tell whether everything was tried and worked."""
        ended = self.stopped is None and self.import_error is None
        return ended and all(one.ok for one in self.trials)

    def label(self, device: str) -> str:
        """Return a device with its name."""
        name = dict(self.names).get(device, "")
        says_more = name.lower() not in {"", device.partition(":")[0].lower()}
        return f"{device} ({name})" if says_more else device


class Collector:
    """Takes what the child of one framework tells."""

    def __init__(self, framework: str, progress: Progress) -> None:
        self._framework = framework
        self._progress = progress
        self._version: str | None = None
        self._import_error: str | None = None
        self._no_accelerator: str | None = None
        self._names: dict[str, str] = {}
        self._trials: list[Trial] = []
        self._last_step = ""

    def take(self, event: Event) -> None:
        """Take one thing; what does not look like ours is passed over."""
        kind = event["event"]
        message = str(event.get("message") or "")
        device, operation = str(event.get("device")), str(event.get("operation"))
        if kind == "ready":
            self._version = str(event.get("version"))
        elif kind == "import-failed":
            self._import_error = message
        elif kind == "no-accelerator":
            self._no_accelerator = message
        elif kind == "device":
            self._names[device] = str(event.get("name") or "")
        elif kind == "begin":
            self._last_step = f"{operation} on {device}"
        elif kind in {"passed", "failed"}:
            failure = None if kind == "passed" else message
            self._trials.append(
                Trial(device=device, operation=operation, message=failure)
            )
            self._progress.advance()

    def result(self, end: ChildEnd) -> FrameworkTrials:
        """Sum it up."""
        return FrameworkTrials(
            framework=self._framework,
            version=self._version,
            names=tuple(self._names.items()),
            trials=tuple(self._trials),
            no_accelerator=self._no_accelerator,
            import_error=self._import_error,
            stopped=end.reason,
            last_step=self._last_step,
            stderr=end.stderr,
        )
