"""Pip's own finder, asked in this process, with a package index on loopback."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING

import pytest

from colabmagic.cuda.fetching import pip_finder
from colabmagic.cuda.fetching.pip_finder import find
from tests.fakes.wheel_index import WheelIndex, make_wheel

if TYPE_CHECKING:
    from collections.abc import Iterator

# What pip itself carries warns of parts of it, in pip 23 and 24.
pytestmark = pytest.mark.filterwarnings("ignore:pkg_resources is deprecated")

SECRET = "s3cr3t"  # noqa: S105 (of this test)
OLD, NEW = make_wheel("nvidia-tiny", "13.0.48"), make_wheel("nvidia-tiny", "13.0.88")
BETA = make_wheel("nvidia-tiny", "13.1.0rc1")


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> Iterator[WheelIndex]:
    """Serve some wheels, and let pip know of nothing else."""
    for name in [each for each in os.environ if each.startswith("PIP_")]:
        monkeypatch.delenv(name)
    with WheelIndex() as served:
        served.add("simple", OLD, NEW, BETA)
        served.add("simple", make_wheel("old", "1.0", tag="cp27-none-any"))
        monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
        monkeypatch.setenv("PIP_INDEX_URL", f"{served.url}/simple")
        monkeypatch.setenv("PIP_RETRIES", "0")
        monkeypatch.setenv("PIP_DISABLE_PIP_VERSION_CHECK", "1")
        yield served


@pytest.mark.parametrize(
    ("asked", "wheel"),
    [
        ("nvidia-tiny", NEW),  # no beta
        ("NVIDIA_Tiny==13.0.*", NEW),
        ("nvidia-tiny<13.0.88", OLD),
        ("nvidia-tiny==13.1.0rc1", BETA),  # unless it is named
    ],
)
def test_the_best_wheel_and_its_hash(
    index: WheelIndex, asked: str, wheel: object
) -> None:
    """Where it is; nothing is downloaded."""
    (found,) = find([asked])
    assert found["url"] == f"{index.url}/simple/nvidia-tiny/{wheel.file}"  # type: ignore[attr-defined]
    assert found["sha256"] == wheel.sha256  # type: ignore[attr-defined]
    assert not [path for path in index.requests if path.endswith(".whl")]


def test_each_in_its_place(index: WheelIndex) -> None:
    """As many answers as questions, in the same order."""
    index.add("simple", make_wheel("other", "2.0"))
    found = find(["other", "nvidia-tiny", "other"])
    names = [each["url"].rpartition("/")[2].partition("-")[0] for each in found]
    assert names == ["other", "nvidia_tiny", "other"]


def test_an_index_without_hashes_tells_none(index: WheelIndex) -> None:
    """What is fetched then has no hash to be compared with; it is not made up."""
    index.fault(NEW, "simple", "no_hash")
    assert find(["nvidia-tiny"])[0]["sha256"] is None


@pytest.mark.parametrize(
    "asked",
    [
        "nvidia-tiny==99",
        "no-such-package",
        "old",  # of Python 2.7 alone
        "nvidia-tiny[extra]",
        "nvidia-tiny ; python_version > '3'",
        "nvidia-tiny @ http://127.0.0.1:9/x-1-py3-none-any.whl",
    ],
)
def test_what_it_does_not_answer(index: WheelIndex, asked: str) -> None:
    """Then pip's dry run is asked, which says why in words."""
    del index
    with pytest.raises(LookupError):
        find(["nvidia-tiny", asked])


def test_a_login_stays_out_of_the_answer(
    index: WheelIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is used, and not written into notes or reports."""
    index.need_login("simple", "me", SECRET)
    url = index.url.replace("http://", f"http://me:{SECRET}@")
    monkeypatch.setenv("PIP_INDEX_URL", f"{url}/simple")
    (found,) = find(["nvidia-tiny"])
    assert found["sha256"] == NEW.sha256


@pytest.mark.parametrize(("asked", "status"), [("nvidia-tiny", 0), ("nothing", 1)])
def test_the_program_says_json_or_the_kind_of_its_error(
    index: WheelIndex,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    asked: str,
    status: int,
) -> None:
    """One line each, and no address in an error: it may hold a login."""
    del index
    monkeypatch.setattr(sys, "argv", ["pip_finder", asked])
    assert pip_finder.main() == status
    out, err = capsys.readouterr()
    if status:
        assert (out, err) == ("", "LookupError\n")
    else:
        assert json.loads(out)[0]["sha256"] == NEW.sha256
        assert out.count("\n") == 1


def test_a_pip_that_has_changed_is_an_end_and_no_stack(
    index: WheelIndex,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Its inside is not public: any error of it is told by its name."""
    del index
    monkeypatch.setitem(sys.modules, "pip._internal.commands", None)  # not to be had
    monkeypatch.setattr(sys, "argv", ["pip_finder", "nvidia-tiny"])
    assert pip_finder.main() == 1
    assert capsys.readouterr().err == "ModuleNotFoundError\n"
