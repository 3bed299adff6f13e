"""What pip's last words mean."""

from __future__ import annotations

import pytest

from colabmagic.cuda.errors import (
    ChecksumError,
    CudaError,
    DiskFullError,
    NeedsRootError,
    RequirementError,
    SourceUnreachableError,
)
from colabmagic.cuda.packages.failure import explain
from colabmagic.host.command import CommandOutcome


def outcome(stderr: str, **changes: object) -> CommandOutcome:
    """Return a pip that failed."""
    fields: dict[str, object] = {
        "returncode": 1,
        "stdout": "",
        "stderr": stderr,
        "timed_out": False,
        "elapsed_s": 1.0,
        "error": None,
    }
    return CommandOutcome(**{**fields, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("stderr", "kind", "what"),
    [
        (
            (
                "ERROR: Could not install packages due to an OSError: [Errno 28] No space "
                "left on device"
            ),
            DiskFullError,
            "pip has no room left",
        ),
        (
            (
                "ERROR: Could not install packages due to an OSError: [Errno 13] Permission"
                " denied: 'x'"
            ),
            NeedsRootError,
            "pip may not write where this Python keeps its packages",
        ),
        (
            "/usr/bin/python3: No module named pip",
            RequirementError,
            "this Python has no pip",
        ),
        (
            "error: externally-managed-environment",
            NeedsRootError,
            "this Python belongs to the system, which keeps its packages by itself",
        ),
        (
            "no such option: --report",
            RequirementError,
            "pip here is too old for a dry run",
        ),
        (
            "ERROR: HTTP error 403 while getting https://h/x.whl",
            SourceUnreachableError,
            "a server does not let pip in",
        ),
        (
            (
                "WARNING: Retrying (Retry(total=0)) after connection broken by "
                "'NewConnectionError'\nERROR: No matching distribution found for x"
            ),
            SourceUnreachableError,
            "a server that pip asks does not answer",
        ),
        (
            "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.",
            ChecksumError,
            "a wheel came damaged, or is another file; nothing was installed",
        ),
        (
            (
                "  error: subprocess-exited-with-error\n  fatal: unable to access "
                "'https://h/x/': Could not resolve host: h\nnote: This error originates "
                "from a subprocess, and is likely not a problem with pip."
            ),
            SourceUnreachableError,
            "a server that pip asks does not answer",
        ),
        (
            "ERROR: Failed building wheel for x",
            RequirementError,
            "pip cannot install this",
        ),
    ],
)
def test_causes(stderr: str, kind: type[CudaError], what: str) -> None:
    """The cause is named by its class, and pip's own words are the evidence."""
    error = explain(outcome(stderr))
    assert type(error) is kind
    assert error.what == what
    assert error.seen
    assert error.hint


def test_a_pip_that_is_not_there_or_does_not_end() -> None:
    """Both are told apart from what pip says."""
    missing = explain(outcome("", returncode=None, error="No such file or directory"))
    assert missing.what == "pip did not start"
    slow = explain(outcome("Downloading x", returncode=None, timed_out=True))
    assert isinstance(slow, SourceUnreachableError)
    assert slow.seen == "Downloading x"


def test_what_git_says_is_quoted() -> None:
    """Not pip's own note that something has failed."""
    error = explain(
        outcome(
            "  error: subprocess-exited-with-error\n  fatal: unable to access "
            "'https://me:s3cr3t@h/x/': Could not resolve host: h\n"
            "error: subprocess-exited-with-error"
        )
    )
    assert error.seen == (
        "unable to access 'https://****@h/x/': Could not resolve host: h"
    )


def test_passwords_in_pip_s_words_are_hidden() -> None:
    """Also where pip itself would show them."""
    error = explain(outcome("ERROR: Could not fetch https://me:s3cr3t@h/x/"))
    assert "s3cr3t" not in str(error)
