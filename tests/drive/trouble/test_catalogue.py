"""Each way to fail has an entry, is recognised, and says whole what a person needs."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import requests

from colabmagic.drive import command, errors
from colabmagic.drive.account import hints
from colabmagic.drive.api.refusals import refusal
from colabmagic.drive.api.unanswered import connection_failed
from colabmagic.drive.trouble import catalogue
from colabmagic.drive.trouble.causes import CAUSES
from colabmagic.drive.trouble.failure import COMMAND
from colabmagic.magics._drive_options import check
from colabmagic.magics.drive import DriveMagics
from colabmagic.report.model import Code, Report
from colabmagic.report.text import WIDTH, render_text
from tests.drive.examples import ERRORS, SEEN

ROOT = Path(__file__).parents[3]
TEXTS = ROOT / "tests/fixtures/drive/failures.txt"

OF_GOOGLE = frozenset({"invalid-oauth-code", "service-account-storage"})


def leaves(
    kind: type[errors.DriveError] = errors.DriveError,
) -> set[type[errors.DriveError]]:
    """Return the classes of which nothing else is a kind."""
    below = [
        each for each in kind.__subclasses__() if each.__module__ == errors.__name__
    ]
    return {kind} if not below else set().union(*map(leaves, below))


def take(line: str) -> None:
    """Have a command line parsed as if it were typed; fail if it is not taken."""
    words = shlex.split(line)
    if words[0] == "%mount_drive":
        parser: Any = DriveMagics.mount_drive.parser  # type: ignore[attr-defined]
        check(parser.parse_args(words[1:]))
    elif words[:4] == ["python", "-m", "colabmagic", "drive"]:
        command._parser().parse_args(words[4:])


def shown(code: str) -> str:
    """Return the whole text that an entry gives."""
    found = (
        catalogue.explain(ERRORS[code])
        if code in ERRORS
        else catalogue.finding(code, SEEN[code])
    )
    return render_text(Report(title=code, verdict="", findings=(found,)))


def test_each_class_has_an_entry() -> None:
    """Whatever can be raised can be explained."""
    assert leaves() - catalogue.FAILURES.keys() == set()


def test_each_entry_has_an_example() -> None:
    """And each example an entry; no code stands for two things."""
    codes = [failure.code for failure in catalogue.ALL]
    assert len(codes) == len(set(codes))
    assert set(codes) == ERRORS.keys() | SEEN.keys()


@pytest.mark.parametrize("code", ERRORS)
def test_errors_are_recognised(code: str) -> None:
    """By a known cause where there is one, else by class; also after a journey."""
    error = ERRORS[code]
    failure = catalogue.recognise(error)
    assert failure.code == code
    assert failure.error is not None
    assert isinstance(error, failure.error)


@pytest.mark.parametrize("code", sorted(ERRORS.keys() | SEEN.keys()))
def test_the_whole_text(code: str) -> None:
    """The text is the one that somebody has read and found good."""
    texts = TEXTS.read_text("utf-8").split("\n\n")
    known = {text.partition(":")[0]: text.strip() for text in texts}
    text = shown(code).strip()
    assert known.get(code) == text, f"read it; if it is good, into {TEXTS}:\n\n{text}"


@pytest.mark.parametrize("code", sorted(ERRORS.keys() | SEEN.keys()))
def test_the_text_is_for_a_person(code: str) -> None:
    """It fits a terminal, but for commands; it says what to do, all of it here."""
    text = shown(code)
    for line in text.splitlines():
        assert len(line) <= WIDTH or line.startswith("      ")
    assert "Fix" in text
    assert "docs/" not in text  # who has installed it has no such file
    assert "--doctor" not in text  # it is the doctor who speaks


def test_commands_can_be_typed() -> None:
    """Each command that an entry names is one that the magic, or the shell, takes."""
    for failure in catalogue.ALL:
        for text in (*failure.fix, failure.seen):
            if text.startswith("%mount_drive"):
                assert COMMAND.fullmatch(text), f"not a command alone: {text}"
            for found in COMMAND.findall(text):
                take(found)


def test_marks_are_words_that_we_write() -> None:
    """A cause is known by words that an error of ours has, or that are Google's own."""
    catalogued = {"causes.py", "failures.py", "failure.py", "catalogue.py"}
    sources = (ROOT / "colabmagic/drive").rglob("*.py")
    text = "".join(
        re.sub(r'"\s*\n\s*f?"', "", path.read_text("utf-8")).casefold()
        for path in sources
        if path.name not in catalogued
    )
    for cause in CAUSES:
        if cause.marks and cause.code not in OF_GOOGLE:
            assert any(mark.casefold() in text for mark in cause.marks), cause.code


def test_options_in_hints_exist() -> None:
    """No error anywhere names an option of the magic that is not there."""
    parser: Any = DriveMagics.mount_drive.parser  # type: ignore[attr-defined]
    known = {name for action in parser._actions for name in action.option_strings}
    for path in (ROOT / "colabmagic").rglob("*.py"):
        text = re.sub(r'"\s*\n\s*f?"', "", path.read_text("utf-8"))  # of several lines
        for line in re.findall(r"%mount_drive[^\"\n`,;:]*", text):
            named = set(re.findall(r"(?<![\w-])--[a-z][\w-]*", line))
            assert named <= known, f"{path.name}: {line}"


@pytest.mark.parametrize(
    ("status", "reason", "code"),
    [
        (403, "insufficientPermissions", "scope-missing"),
        (403, "accessNotConfigured", "drive-api-off"),
        (403, "domainPolicy", "organisation-forbids"),
        (403, "userRateLimitExceeded", "rate-limit"),
        (403, "dailyLimitExceeded", "daily-limit"),
        (403, "downloadQuotaExceeded", "download-quota"),
        (403, "storageQuotaExceeded", "storage-quota"),
        (403, "cannotDownloadAbusiveFile", "harmful-file"),
        (403, "fileNotDownloadable", "google-document"),
        (403, "cannotDownloadFile", "not-downloadable"),
        (404, "notFound", "not-found"),
        (400, "badRequest", "refused"),
        (401, "authError", "login-expired"),
        (429, "", "rate-limit"),
        (503, "backendError", "server-failed"),
    ],
)
def test_refusals_are_recognised(status: int, reason: str, code: str) -> None:
    """What we make of Google's own answers is found in the catalogue."""
    response = requests.Response()
    response.status_code = status
    body = {"error": {"errors": [{"reason": reason}], "message": "No."}}
    response._content = json.dumps(body).encode()
    assert catalogue.recognise(refusal(response)).code == code


def test_nothing_is_said_twice() -> None:
    """A step of the error itself is not repeated in other words, signs or cases."""
    for hint in ("run the cell again", "Run the cell again.", "RUN THE CELL AGAIN;"):
        error = errors.IntegrityError("x", hint=hint)
        fixes = catalogue.explain(error).fix
        again = [fix for fix in fixes if "run the cell again" in fix.casefold()]
        assert again == [hint]
    away, silent = requests.ConnectionError("Failed to resolve"), requests.ReadTimeout()
    for error in (connection_failed(away, "https://x"), connection_failed(silent, "")):
        text = " ".join(catalogue.explain(error).fix).casefold()
        assert text.count("run the cell again") == 1
        assert text.count("turn internet on") == 1
    refused = errors.DriveAuthError(
        "x", seen="accessNotConfigured",
        hint="enable it, wait 5 minutes, and run the cell again: "
        "https://console.cloud.google.com/apis/library/drive.googleapis.com?project=1",
    )  # fmt: skip
    assert catalogue.explain(refused).fix == (refused.hint,)


def test_each_line_of_a_hint_is_a_step() -> None:
    """A command stands alone; one too long for a line is not wrapped; none leads back here."""
    error = errors.NoCredentialsError("x", hint=hints.TO_LOG_IN)
    fixes = catalogue.explain(error).fix
    assert fixes[0] == hints.LOGIN
    assert fixes.count(hints.LOGIN) == 1
    assert any("Download JSON" in fix for fix in fixes)  # how client.json is made
    error = errors.NoCredentialsError("x", hint=hints.TO_USE_GCLOUD)
    fixes = catalogue.explain(error).fix
    assert fixes[0] == hints.GCLOUD
    assert isinstance(fixes[0], Code)
    assert fixes.count(hints.GCLOUD) == 1


def test_a_class_that_nobody_knows() -> None:
    """A class made later falls back to the nearest one above it."""
    kind = type("NewError", (errors.DailyLimitError,), {"__module__": "elsewhere"})
    failure = catalogue.recognise(kind("x", hint="y"))
    assert failure.code == "daily-limit"
