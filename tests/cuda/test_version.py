"""What the user may write for a CUDA, and which release it means."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from colabmagic.cuda.errors import (
    BadVersionError,
    CudaError,
    DriverTooOldError,
    GpuNotSupportedError,
    PlatformUnsupportedError,
    TorchIsCpuError,
)
from colabmagic.cuda.machine.facts import Gpu, MachineFacts, TorchHere
from colabmagic.cuda.version import Wanted, choose_release, parse_wanted
from colabmagic.data import compat
from colabmagic.report.model import Unknown


def machine(**changes: Any) -> MachineFacts:  # noqa: ANN401 (fields of the facts)
    """Return today's Colab with a T4, with some facts changed."""
    facts: dict[str, Any] = {
        "os_id": "ubuntu",
        "os_version": "22.04",
        "os_name": "Ubuntu 22.04.5 LTS",
        "arch": "x86_64",
        "glibc": (2, 35),
        "python": (3, 13),
        "host": "colab",
        "is_root": True,
        "is_wsl": False,
        "container": "docker",
        "gpus": (Gpu(name="Tesla T4", capability=(7, 5)),),
        "driver": "580.82.07",
        "driver_cuda": (13, 0),
        "compilers": (),
        "toolkits": (),
        "torch": TorchHere(version="2.11.0+cu128", cuda="12.8"),
    }
    return MachineFacts(**{**facts, **changes})


@pytest.mark.parametrize(
    ("text", "minor", "patch", "major"),
    [
        ("11.1", "11.1", None, 11),
        ("12", None, None, 12),
        ("12.4.1", "12.4", 1, 12),
        ("cu118", "11.8", None, 11),
        ("cu92", "9.2", None, 9),
        ("cu12", None, None, 12),
        ("cu130", "13.0", None, 13),
        ("v12.4", "12.4", None, 12),
        ("12-4", "12.4", None, 12),
        ("12_4", "12.4", None, 12),
        (" CUDA 12.4 ", "12.4", None, 12),
        ("cuda-toolkit==12.4.1", "12.4", 1, 12),
        ("9.2.148", "9.2", 148, 9),
        ("13.5", "13.5", None, 13),
    ],
)
def test_a_version_is_read(
    text: str, minor: str | None, patch: int | None, major: int
) -> None:
    """All ways in which tutorials write a version mean that version."""
    wanted = parse_wanted(text)
    assert wanted == Wanted(text=text, minor=minor, patch=patch, major=major)
    assert wanted.kind == "version"


@pytest.mark.parametrize("text", ["auto", "torch", "Torch"])
def test_words(text: str) -> None:
    """Two words stand for what this machine or its PyTorch wants."""
    assert parse_wanted(text).kind == text.lower()


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (
            "12.7",
            (
                "CUDA 12.7 was never released | seen: NVIDIA went from 12.6 to 12.8 | "
                "try: %cuda_install 12.8"
            ),
        ),
        (
            "14.0",
            (
                "CUDA 14.0 is newer than what is known here | seen: the newest in the "
                "table of {as_of} is 13.5 | try: %cuda_install 13.5; "
                "%pip install -U colabmagic"
            ),
        ),
        (
            "11.1.2",
            (
                "there is no CUDA 11.1.2 | seen: 11.1 has 11.1.0 and 11.1.1 | "
                "try: %cuda_install 11.1.1"
            ),
        ),
        (
            "13.4.0",
            (
                "there is no CUDA 13.4.0 | seen: 13.4 has 13.4.1, 13.4.2 and 13.4.3 | "
                "try: %cuda_install 13.4.1"
            ),
        ),
        (
            "13.5.1",
            (
                "there is no CUDA 13.5.1 | seen: the table of {as_of} knows 13.5 without a "
                "third number | try: %cuda_install 13.5"
            ),
        ),
        (
            "12.4.131",
            (
                "12.4.131 is the build number of a compiler, not a release of CUDA | "
                "seen: it belongs to CUDA 12.4 | try: %cuda_install 12.4"
            ),
        ),
        (
            "11.9",
            (
                "there is no CUDA 11.9 | seen: the last one of CUDA 11 is 11.8 | "
                "try: %cuda_install 11.8"
            ),
        ),
        (
            "8.0",
            (
                "CUDA 8.0 is too old | seen: the table begins with 9.0, of 2017 | "
                "try: %cuda_install 9.0"
            ),
        ),
        (
            "118",
            (
                "'118' is no version of CUDA | seen: it may stand for 11.8 | "
                "try: %cuda_install 11.8"
            ),
        ),
        (
            "12,4",
            (
                "'12,4' is no version of CUDA | seen: expected something like 11.8, 12, "
                "12.4.1, cu118, auto or torch | try: %cuda_install 12.4"
            ),
        ),
        (
            "tensorflow",
            (
                "'tensorflow' is no version of CUDA | seen: expected something like 11.8, "
                "12, 12.4.1, cu118, auto or torch | try: %cuda_install auto"
            ),
        ),
    ],
)
def test_what_is_no_cuda_names_the_nearest(text: str, lines: str) -> None:
    """The error says what was seen, and what to type instead."""
    with pytest.raises(BadVersionError) as caught:
        parse_wanted(text)
    assert str(caught.value) == lines.format(as_of=compat.as_of())
    assert caught.value.code == "E01"


def test_every_hint_is_a_version() -> None:
    """What an error tells to type can be typed."""
    for minor in range(12):
        for major in range(8, 16):
            for text in (f"{major}.{minor}", f"{major}.{minor}.7"):
                try:
                    parse_wanted(text)
                except BadVersionError as error:
                    first = error.hint.splitlines()[0]
                    assert parse_wanted(first.removeprefix("%cuda_install "))


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused_in_one_way(text: str) -> None:
    """No text draws another error; what is shown is short and on one line."""
    error: BadVersionError | None = None
    try:
        wanted = parse_wanted(text)
    except BadVersionError as refused:
        error = refused
    if error is None:
        assert wanted.text == text
    else:
        assert "\n" not in error.what
        assert len(error.what) < 300


@pytest.mark.parametrize("release", compat.releases(), ids=lambda each: each.version)
def test_every_release_can_be_named(release: compat.Release) -> None:
    """Each version of the table means itself."""
    assert choose_release(parse_wanted(release.version), machine()) is release


@pytest.mark.parametrize(
    ("text", "changes", "version"),
    [
        ("11.1", {}, "11.1.1"),
        ("9.2", {"driver": "375.1"}, "9.2.148"),  # named: the plan says what is wrong
        ("auto", {}, "13.0.3"),  # the newest whose PTX the driver compiles
        ("auto", {"gpus": ()}, "13.0.3"),
        ("auto", {"gpus": (), "driver": None, "driver_cuda": None}, "13.5"),
        ("auto", {"driver": Unknown("hangs"), "driver_cuda": Unknown("hangs")}, "13.5"),
        ("auto", {"gpus": (Gpu(name="P100", capability=(6, 0)),)}, "12.9.2"),
        ("auto", {"gpus": (Gpu(name="K80", capability=(3, 7)),)}, "11.8.0"),
        ("auto", {"driver": "535.104.05", "driver_cuda": (12, 2)}, "12.2.2"),
        ("auto", {"driver": "470.82.01", "driver_cuda": (11, 4)}, "11.4.4"),
        ("auto", {"driver": "396.37", "driver_cuda": (9, 2)}, "9.2.148"),
        ("auto", {"gpus": (Gpu(name="?", capability=Unknown("?")),)}, "13.0.3"),
        ("12", {}, "12.9.2"),
        ("12", {"driver": "550.54.15", "driver_cuda": (12, 4)}, "12.4.1"),
        ("13", {"gpus": (Gpu(name="P100", capability=(6, 0)),)}, "13.5"),
        ("torch", {}, "12.8.2"),
    ],
)
def test_the_release_that_is_meant(
    text: str, changes: dict[str, Any], version: str
) -> None:
    """A name is taken as it is; ``auto`` is what driver and GPU run."""
    assert choose_release(parse_wanted(text), machine(**changes)).version == version


@pytest.mark.parametrize(
    ("text", "changes", "kind", "lines"),
    [
        (
            "torch",
            {"torch": None},
            BadVersionError,
            (
                "PyTorch is not installed here, so its CUDA cannot be taken | "
                "try: %cuda_install auto"
            ),
        ),
        (
            "torch",
            {"torch": TorchHere(version="2.13.0+cpu", cuda=None)},
            TorchIsCpuError,
            (
                "the PyTorch here is built for the CPU: it has no CUDA that could be taken "
                "| seen: torch 2.13.0+cpu | try: %%cuda_install auto; torch"
            ),
        ),
        (
            "torch",
            {"torch": TorchHere(version="3.0.0+cu140", cuda="14.0")},
            BadVersionError,
            (
                "the PyTorch here is built with CUDA 14.0, which is not known | seen: "
                "torch 3.0.0+cu140; the table is of {as_of} | try: %cuda_install auto"
            ),
        ),
        (
            "auto",
            {"glibc": None, "os_name": "Alpine Linux v3.20"},
            PlatformUnsupportedError,
            (
                "NVIDIA's toolkits want the GNU C library 2.17 or newer | seen: Alpine "
                "Linux v3.20, glibc not found | try: run the notebook on Ubuntu, Debian, "
                "or in their containers"
            ),
        ),
        (
            "auto",
            {"driver": "340.108", "driver_cuda": (6, 5)},
            DriverTooOldError,
            (
                "the driver runs no CUDA 9.0 or newer | seen: driver 340.108; wanted at "
                "least 384.81 | try: choose another runtime: its host has another driver"
            ),
        ),
        (
            "auto",
            {"driver": "340.108", "driver_cuda": (6, 5), "host": "ipython"},
            DriverTooOldError,
            (
                "the driver runs no CUDA 9.0 or newer | seen: driver 340.108; wanted at "
                "least 384.81 | try: update the host's driver to 384.81 or newer"
            ),
        ),
        (
            "auto",
            {"gpus": (Gpu(name="Tesla C2050", capability=(2, 0)),)},
            GpuNotSupportedError,
            (
                "no CUDA from 9.0 to 13.0 has code for the GPU here | seen: Tesla C2050 | "
                "try: choose a machine with a T4, L4, A100 or newer"
            ),
        ),
    ],
)
def test_no_release_goes_with_the_machine(
    text: str, changes: dict[str, Any], kind: type[CudaError], lines: str
) -> None:
    """The limit that leaves nothing is named."""
    with pytest.raises(kind) as caught:
        choose_release(parse_wanted(text), machine(**changes))
    assert str(caught.value) == lines.format(as_of=compat.as_of())
