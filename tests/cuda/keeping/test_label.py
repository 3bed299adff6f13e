"""Tests for `colabmagic.cuda.keeping.label`."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from colabmagic.cuda.keeping.label import (
    FORMAT,
    as_label,
    distrust,
    from_label,
    judged,
    stem_of,
)
from colabmagic.cuda.machine.facts import Kept

FOLDER = Path("/drive/toolkits")
KEPT = Kept(
    path="/drive/toolkits/12.4.1-x86_64-0123.tar.gz",
    release="12.4.1",
    build="12.4.131",
    method="deb",
    arch="x86_64",
    system="ubuntu 22.04",
    compiler=11,
    parts=("cublas", "nvtx"),
    sha256="0" * 64,
    size=5,
    files=2,
    unpacked_bytes=9,
)


def test_there_and_back() -> None:
    """What is written is what is read, through JSON."""
    data = json.loads(json.dumps(as_label(KEPT)))
    assert data["format"] == FORMAT
    assert "/drive" not in json.dumps(data)  # the folder may lie elsewhere next time
    assert from_label(FOLDER, data) == KEPT


def test_names() -> None:
    """What makes two toolkits differ is in their names."""
    plain = replace(KEPT, compiler=None, system="", parts=())
    assert stem_of(plain) == "12.4.1-x86_64"
    assert stem_of(KEPT) == "12.4.1-x86_64-cublas-nvtx-g++11-ubuntu22.04"


@pytest.mark.parametrize(
    "change",
    [
        {"file": "../../etc/passwd.tar.gz"},
        {"file": "a/b.tar.gz"},
        {"file": ".hidden.tar.gz"},
        {"file": 5},
        {"format": 2},
        {"release": "../12"},
        {"build": "12"},
        {"build": 12},
        {"arch": "x86_64\n"},
        {"system": "a b c"},
        {"method": "$(x)"},
        {"parts": [["x"]]},
        {"parts": ["x"] * 100},
        {"parts": 5},
        {"compiler": "11"},
        {"compiler": True},
        {"compiler": -11},
        {"compiler": 10**300},
        {"release": "\u0661\u0662.\u0664.\u0661"},
        {"parts": "abc"},
        {"parts": {"cublas": 1}},
        {"files": 10**300},
        {"sha256": "0" * 63},
        {"size": -1},
        {"size": 1.5},
        {"files": 0},
        {"unpacked_bytes": "9"},
        {"unpacked_bytes": 10**400},
        {"problem": ""},
        {"path": "/etc/passwd"},
        {"environment": {"LD_PRELOAD": "x"}},
    ],
    ids=str,
)
def test_a_label_that_makes_no_sense(change: dict[str, Any]) -> None:
    """It is anybody's file: what is odd about it is a reason against the archive."""
    data = {**json.loads(json.dumps(as_label(KEPT))), **change}
    if "problem" in change:  # its own, and none that a label may tell
        assert from_label(FOLDER, data) == KEPT
        data["problem"] = "x"
    found = from_label(FOLDER, data)
    assert found.problem
    assert Path(found.path).is_relative_to(FOLDER)


@pytest.mark.parametrize("data", [None, 5, [], {}, {"file": "x.tar.gz"}, "x"])
def test_no_label_at_all(data: Any) -> None:  # noqa: ANN401 (anybody's JSON)
    """Neither is that an error."""
    assert from_label(FOLDER, data).problem


def test_what_its_files_tell() -> None:
    """Gone, cut off, another's, everybody's: none is used; root's and ours are."""
    mine = {os.geteuid(), 0}
    assert judged(KEPT, 5, mine, {0o644, 0o600}) == KEPT
    assert judged(KEPT, None, mine, {0o644}).problem == "the archive is gone"
    assert judged(KEPT, 4, mine, {0o644}).problem == "it has 4 bytes, not 5"
    assert "user 4242" in judged(KEPT, 5, {*mine, 4242}, {0o644}).problem
    assert "everybody" in judged(KEPT, 5, mine, {0o644, 0o666}).problem
    assert judged(replace(KEPT, problem="x"), None, mine, set()).problem == "x"
    assert distrust(mine, {0o664}) == ""
