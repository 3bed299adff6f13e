"""What the doctor shows of what he has found."""

from __future__ import annotations

import pytest

from colabmagic.drive.trouble.catalogue import finding
from colabmagic.drive.trouble.doctor_report import DoctorReport


@pytest.mark.parametrize(
    ("codes", "verdict", "ok"),
    [
        ((), "NOTHING WRONG WAS FOUND", True),
        (("no-fuse",), "NOTHING WRONG WAS FOUND", True),  # a note
        (("disk-low",), "1 THING TO MEND", True),  # a warning
        (("mount-dead", "disk-low", "no-fuse"), "2 THINGS TO MEND", False),
    ],
)
def test_the_verdict(codes: tuple[str, ...], verdict: str, ok: bool) -> None:  # noqa: FBT001
    """Notes are no illness; only an error is not ok."""
    report = DoctorReport(
        checks=(("host", "Colab"),),
        findings=tuple(finding(code, "seen") for code in codes),
    )
    assert verdict in report.text
    assert report.ok is ok
    plain = report.to_dict()
    assert (plain["ok"], plain["checks"]) == (ok, {"host": "Colab"})
    assert [each["code"] for each in plain["findings"]] == list(codes)
    assert all(code in repr(report) for code in codes)
