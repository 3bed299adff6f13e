"""``%gpu_check`` in real kernels: shown once, returned always, PyTorch left alone."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.kernel.support import Kernel, Reply

MIME_TYPES = {"text/plain", "text/html", "application/vnd.colabmagic.gpu+json"}


def reports(reply: Reply) -> list[dict[str, object]]:
    """Return the reports that a cell showed, each as its bundle."""
    assert reply.status == "ok", reply.shown
    bundles = [output["data"] for output in reply.outputs if "data" in output]
    return [one for one in bundles if one["text/plain"].startswith("GPU check:")]


@pytest.mark.parametrize(
    ("code", "shown"),
    [
        ("%gpu_check", 1),
        ("%gpu_check\nprint('after')", 1),
        ("r = %gpu_check", 1),
        ("r = %gpu_check\nr", 1),
        ("for _ in range(2):\n    %gpu_check", 2),
        ("%gpu_check ;", 1),
        ("%gpu_check -q", 0),
        ("r = %gpu_check --quiet\nr", 1),
        ("get_ipython().run_line_magic('gpu_check', '')", 1),
    ],
)
def test_shown_once(code: str, shown: int, kernel: Kernel) -> None:
    """Each check shows one report, wherever it stands in a cell."""
    assert len(reports(kernel.run(code))) == shown


def test_object_shows_again_in_a_later_cell(kernel: Kernel) -> None:
    """The bound report is an ordinary object for later cells."""
    kernel.run("r = %gpu_check -q")
    (bundle,) = reports(kernel.run("r"))
    assert set(bundle) == MIME_TYPES
    (again,) = reports(kernel.run("display(r)\nNone"))
    assert again["text/plain"] == bundle["text/plain"]
    assert kernel.run("r.ok, r.device").results[0].startswith("(")


def test_report_travels(kernel: Kernel) -> None:
    """A report can be copied and pickled, and is shown afterwards."""
    kernel.run("r = %gpu_check -q")
    reply = kernel.run("import copy, pickle\npickle.loads(pickle.dumps(copy.copy(r)))")
    assert len(reports(reply)) == 1


def test_what_is_required_and_missing_stops_the_notebook(kernel: Kernel) -> None:
    """The report is shown, then three lines; the error carries the report."""
    reply = kernel.run("%gpu_check --require 4000GiB")
    assert (reply.status, reply.ename) == ("error", "GpuCheckError")
    assert "4000GiB is asked for" in reply.evalue
    assert len(reply.traceback.strip().splitlines()) == 3
    assert any("GPU check:" in str(output) for output in reply.outputs)
    assert kernel.value("__import__('sys').last_value.report.device")


def test_all_fields(kernel: Kernel) -> None:
    """``--all`` is an ordinary report, with more in it."""
    (bundle,) = reports(kernel.run("r = %gpu_check --all"))
    assert set(bundle) == MIME_TYPES
    assert kernel.value("r.show_all") is True


def test_json_is_one_document(kernel: Kernel) -> None:
    """``--json`` prints JSON and shows no report."""
    reply = kernel.run("%gpu_check --json")
    assert reports(reply) == []
    data = json.loads(reply.stdout)
    assert {"ok", "device", "findings", "facts"} <= data.keys()


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("--jsn", "--json"),
        ("--timeout", "needs a value"),
        ("--timeout 0", "more than 0"),
        ("--timeout nan", "more than 0"),
        ("cuda", "one word too many"),
        ("--require", "needs a value"),
        ("--live --require cuda", "--live stands alone"),
        ("--for 5", "goes with --live"),
        ("--timeout inf", "at most 3600"),
        ("-q --require much", "not 'much'"),
        ("'", "quote"),
    ],
)
def test_wrong_line_is_one_line(line: str, hint: str, kernel: Kernel) -> None:
    """A wrong option is told in one line, and the cell fails."""
    reply = kernel.run(f"%gpu_check {line}")
    assert reply.status == "error"
    assert hint in reply.shown
    assert len(reply.shown.strip().splitlines()) == 1


def test_imports_no_torch(fresh_kernel: Kernel) -> None:
    """Neither loading nor checking brings PyTorch in, or leaves a thread."""
    fresh_kernel.run("%load_ext colabmagic")
    fresh_kernel.run("r = %gpu_check -q")
    reply = fresh_kernel.run(
        "import sys, threading\n"
        "print('torch' in sys.modules,"
        " [t.name for t in threading.enumerate() if 'colabmagic' in t.name])"
    )
    assert reply.stdout.split() == ["False", "[]"]
