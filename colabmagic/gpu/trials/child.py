"""Run one of our child modules in a fresh Python, and hear what it tells.

A child tells one JSON object a line, so that what it found counts even when it hangs or
dies. A broken framework can take nothing but the child with it.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from colabmagic.gpu.trials import children
from colabmagic.host.stream import stream

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from colabmagic.host.process import ProcessOutcome

Event: TypeAlias = dict[str, Any]

IMPORT_FAILED = "import-failed"
END = "end"

# -P: what lies in the working directory must not pass for a module of the standard
# library. What the kernel alone has on its path comes last. Libraries that print get
# the error stream, so that no foreign text breaks a line of ours.
_LAUNCH = r"""
import importlib, importlib.util, json, os, sys
options = json.loads(sys.argv[1])
sys.path += [one for one in options["path"] if one not in sys.path]
told = os.fdopen(os.dup(1), "w", encoding="utf-8")
os.dup2(2, 1)
def describe(error):
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (type(error).__name__ + ": " + (lines or [""])[0]).rstrip(": ")
def tell(error=None, **facts):
    if error is not None:
        facts["message"] = describe(error)
    told.write(json.dumps(facts) + "\n")
    told.flush()
spec = importlib.util.spec_from_file_location("child", options["script"])
child = importlib.util.module_from_spec(spec)
spec.loader.exec_module(child)
try:
    framework = importlib.import_module(options["package"])
except Exception as error:
    tell(event="import-failed", error=error)
    raise SystemExit(0)
child.run(framework, tell, options)
tell(event="end")
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """What a child runs.

    Parameters
    ----------
    script
        A module of ``children``, by its name.
    package
        What the child imports and hands to the script's ``run``.
    options
        Plain data for the script.
    env
        Variables that the child has otherwise than we; None takes one away.
    """

    script: str
    package: str
    options: Mapping[str, object] = field(default_factory=dict)
    env: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildEnd:
    """How a child ended.

    Parameters
    ----------
    reason
        Why it did not come to its end, in words; None where it did.
    stderr
        The last lines that it wrote to its error stream.
    """

    reason: str | None
    stderr: str = ""


def run_child(
    child: Child, *, timeout_s: float, on_event: Callable[[Event], object]
) -> ChildEnd:
    """Run a child to its end or its time limit; never raise for its failure.

    Parameters
    ----------
    on_event
        Called with each thing that the child tells, as it comes.
    """
    if not sys.executable:
        return ChildEnd(reason="the path of Python is not known")
    told: list[str] = []

    def hear(line: str) -> None:
        event = read_event(line)
        if event is not None:
            told.append(str(event["event"]))
            on_event(event)

    sent = {
        **child.options,
        "package": child.package,
        "script": str(Path(children.__file__).with_name(f"{child.script}.py")),
        "path": [str(one) for one in sys.path],
    }
    outcome = stream(
        [sys.executable, "-P", "-c", _LAUNCH, json.dumps(sent)],
        timeout_s=timeout_s,
        on_line=hear,
        env=_environment(child.env),
    )
    complete = outcome.ok and bool({END, IMPORT_FAILED} & set(told))
    return ChildEnd(
        reason=None if complete else _explain(outcome, timeout_s),
        stderr=outcome.stderr,
    )


def read_event(line: str) -> Event | None:
    """Return what a line tells, or None for a line that is not ours."""
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return event if isinstance(event, dict) and "event" in event else None


def describe(error: BaseException) -> str:
    """Return an error's type and the first line of its message, as a child does."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0] if lines else ''}".rstrip(": ")


def teller(on_event: Callable[[Event], object]) -> Callable[..., None]:
    """Return what a script that runs in this process tells with."""

    def tell(error: BaseException | None = None, **facts: Any) -> None:  # noqa: ANN401
        message = {} if error is None else {"message": describe(error)}
        on_event({**facts, **message})

    return tell


def _environment(changes: Mapping[str, str | None]) -> dict[str, str]:
    """Return our environment with changes."""
    env = {**os.environ, **changes}
    return {name: value for name, value in env.items() if value is not None}


def _explain(outcome: ProcessOutcome, timeout_s: float) -> str:
    """Say why a child did not come to its end."""
    if outcome.error is not None:
        return f"it could not be started: {outcome.error}"
    if outcome.timed_out:
        return f"it was not through after {timeout_s:.0f} s and was ended"
    code = outcome.returncode or 0
    if code < 0:
        return f"it was killed by signal {-code}{_signal_name(-code)}"
    last = outcome.stderr.strip().splitlines()[-1:]
    detail = f": {last[0].strip()}" if last else ""
    return f"it ended early with status {code}{detail}"


def _signal_name(number: int) -> str:
    """Return the name of a signal, with what it most often means."""
    try:
        name = signal.Signals(number).name
    except ValueError:
        return ""
    hint = ", often for too little memory" if name == "SIGKILL" else ""
    return f" ({name}{hint})"
