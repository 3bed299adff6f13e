"""What pip's last words mean, as one of our errors."""

from __future__ import annotations

import re
import shlex
import sys
from typing import TYPE_CHECKING

from colabmagic.cuda.errors import (
    ChecksumError,
    CudaError,
    DiskFullError,
    NeedsRootError,
    RequirementError,
    SourceUnreachableError,
)
from colabmagic.cuda.packages.scrub import scrub

if TYPE_CHECKING:
    from colabmagic.host.process import ProcessOutcome

_LONGEST = 300
# Of the kernel's Python: another may be first on PATH.
ENSURE_PIP = f"!{shlex.quote(sys.executable)} -m ensurepip --upgrade"
_NO_ANSWER = re.compile(
    r"Connection ?(?:refused|reset|aborted|error)|NewConnectionError|ProxyError"
    r"|Max retries exceeded|name resolution|Name or service not known|timed out"
    r"|Connection broken|IncompleteRead|SSLError|RemoteDisconnected"
    r"|CERTIFICATE_VERIFY_FAILED|Could not resolve host|unable to access|\b5\d\d Server Error",
    re.IGNORECASE,
)
_MISSING = re.compile(
    r"(?:No matching distribution found for|satisfies the requirement) (.+)"
)
_VERSIONS = re.compile(r"\(from versions: ([^)]*)\)")
# What is found in pip's words, what it means, and what to type.
_CAUSES: tuple[tuple[re.Pattern[str], type[CudaError], str, str], ...] = (
    (
        re.compile("No space left on device"),
        DiskFullError,
        "pip has no room left",
        "!pip cache purge\n!df -h",
    ),
    (
        re.compile("no such option"),
        RequirementError,
        "pip here is too old for a dry run",
        "%pip install -U pip",
    ),
    (
        re.compile("No module named pip"),
        RequirementError,
        "this Python has no pip",
        ENSURE_PIP,
    ),
    (
        re.compile("externally-managed-environment"),
        NeedsRootError,
        "this Python belongs to the system, which keeps its packages by itself",
        "use a kernel of an environment of your own",
    ),
    (
        re.compile("Permission denied"),
        NeedsRootError,
        "pip may not write where this Python keeps its packages",
        "use a kernel of an environment of your own",
    ),
    (
        re.compile(r"\b40[13] (?:Client )?Error|HTTP error 40[13]"),
        SourceUnreachableError,
        "a server does not let pip in",
        "check name and password in the index's URL, and the URL itself",
    ),
)


def _errors(text: str) -> list[str]:
    """Return the lines that pip, or what it runs, calls errors; without that word."""
    lines = [line.strip() for line in text.splitlines()]
    found = [
        match[1].strip()
        for line in lines
        if (match := re.match(r"(?:ERROR|error|fatal):\s*(\S.*)", line))
        and "subprocess-exited-with-error" not in line  # what it said stands above
    ]
    rest = [line for line in lines if line and not line.startswith(("note:", "hint:"))]
    return found or rest[-1:]


def _short(text: str) -> str:
    """Return the beginning of a text, without passwords."""
    clean = scrub(" ".join(text.split()))
    return clean if len(clean) <= _LONGEST else clean[:_LONGEST] + "…"


def explain(outcome: ProcessOutcome, output: str = "") -> CudaError:
    """Return the error that a failed pip means.

    Parameters
    ----------
    outcome
        How it ended.
    output
        What it wrote, as far as it is kept apart.
    """
    text = f"{output}\n{outcome.stderr}"
    if outcome.error is not None:
        return RequirementError(
            "pip did not start",
            seen=_short(outcome.error),
            hint=ENSURE_PIP,
        )
    if outcome.timed_out:
        return SourceUnreachableError(
            "pip did not end in time",
            seen=_short(_errors(text)[-1] if _errors(text) else "no message"),
            hint="run the cell again: what was fetched is kept by pip",
        )
    last = _errors(text)
    seen = _short(last[-1]) if last and not outcome.flooded else outcome.how
    if "DO NOT MATCH THE HASHES" in text or re.search(r"Expected sha\d+", text):
        return _wrong_checksum(text)
    for pattern, kind, what, hint in _CAUSES:
        if pattern.search(text):
            return kind(what, seen=seen, hint=hint)
    return _no_solution(text, seen)


def _wrong_checksum(text: str) -> ChecksumError:
    """Return the error for a file that is not what was announced."""
    expected = re.search(r"Expected sha256 (?:or )?([0-9a-f]+)", text)
    got = re.search(r"Got\s+([0-9a-f]+)", text)
    seen = (
        f"its SHA-256 is {got[1][:12]}…, and should be {expected[1][:12]}…"
        if expected and got
        else "pip: THESE PACKAGES DO NOT MATCH THE HASHES"
    )
    return ChecksumError(
        "a wheel came damaged, or is another file; nothing was installed",
        seen=seen,
        hint="run the cell again; if it stays so, without --mirror",
    )


def _no_solution(text: str, seen: str) -> CudaError:
    """Return the error for what cannot be found or does not go together."""
    missing = _MISSING.findall(text)
    if _NO_ANSWER.search(text):
        return SourceUnreachableError(
            "a server that pip asks does not answer",
            seen=seen,
            hint="run the cell again: what was fetched is kept by pip",
        )
    if "ResolutionImpossible" in text or "conflicting dependencies" in text:
        conflict = re.search(r"The conflict is caused by:\n((?:\s+.+\n?)+)", text)
        return RequirementError(
            "these requirements do not go together",
            seen=_short(conflict[1]) if conflict else seen,
            hint="loosen one of the versions in the cell",
        )
    if missing:
        name = scrub(missing[-1].strip()).partition(" (from")[0]
        versions = _VERSIONS.search(text)
        known = versions[1].split(", ") if versions else []
        bare = re.split(r"[\s<>=!~\[;@]", name, maxsplit=1)[0]
        if known in ([], ["none"], [""]):
            return RequirementError(
                f"pip finds no package {name}",
                seen="the index has none of this name for this Python",
                hint="check its name; the one to type is on the package's own page",
            )
        return RequirementError(
            f"pip finds no {name}",
            seen=f"there are {', '.join(known[-6:])}",
            hint=f"{bare}=={known[-1]}",
        )
    return RequirementError(
        "pip cannot install this",
        seen=seen,
        hint="!pip install REQUIREMENT\n(shows all that pip says)",
    )
