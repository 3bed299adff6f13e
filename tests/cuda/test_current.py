"""Which toolkit is meant."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from colabmagic.cuda.current import capability, found, in_use, named, with_own_fixes
from colabmagic.cuda.errors import CudaError, NotInstalledError
from colabmagic.cuda.machine.facts import Toolkit
from colabmagic.cuda.store.inventory import Installed, write_card
from colabmagic.cuda.store.layout import Home
from colabmagic.cuda.verifying.ladder import Ladder, Rung
from colabmagic.cuda.verifying.words import REINSTALL
from colabmagic.report.model import Unknown
from tests.cuda.planning.machines import load

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """Return a folder with two toolkits."""
    for name in ("12.9.2", "13.0.3"):
        folder = tmp_path / "cuda" / name
        folder.mkdir(parents=True)
        card = Installed(
            name=name,
            build=f"{name[:4]}.88",
            method="wheels",
            installed=1.0,
            environment={"CUDAHOSTCXX": "{root}/g++"},
        )
        write_card(folder, card)
    return Home(tmp_path)


@pytest.mark.parametrize(
    ("version", "name"),
    [
        ("13", "13.0.3"),
        ("12.9", "12.9.2"),
        ("12.9.2", "12.9.2"),
        ("v13.0", "13.0.3"),
        ("cu129", "12.9.2"),
        ("CUDA 13.0", "13.0.3"),
    ],
)
def test_one_of_ours(home: Home, version: str, name: str) -> None:
    """By its release, its minor or its major."""
    assert found(home, version).name == name


@pytest.mark.parametrize("version", ["1", "12.8", "12.9.1", "13.0.30", "../x", ""])
def test_none_of_ours(home: Home, version: str) -> None:
    """What begins alike is another one."""
    with pytest.raises(NotInstalledError) as caught:
        found(home, version)
    assert caught.value.seen == "in our folder: 13.0.3, 12.9.2"


@pytest.mark.parametrize(
    ("version", "typed"),
    [("12.8", "%cuda_install 12.8"), ("latest", "%cuda_install --list")],
)
def test_what_is_no_version_is_not_to_be_installed(
    home: Home, version: str, typed: str
) -> None:
    """The line that is given can be typed."""
    with pytest.raises(NotInstalledError) as caught:
        found(home, version)
    assert caught.value.hint == typed


def test_one_of_the_systems_is_named(home: Home) -> None:
    """It is here, whatever our folder holds; what has no nvcc, or is ours, is not meant."""
    others = (
        Toolkit(root="/a", build="12.4.1", origin="ours"),
        Toolkit(root="/b", build="12.4.9", origin="wheels", has_compiler=False),
        Toolkit(root="/c", build=Unknown("no answer"), origin="path"),
        Toolkit(root="/usr/local/cuda-12.4", build="12.4.131", origin="system"),
    )
    with pytest.raises(NotInstalledError) as caught:
        found(home, "cu124", others=lambda: others)
    assert caught.value.render() == [
        "NotInstalledError: CUDA cu124 is here, but not ours",
        "  seen: /usr/local/cuda-12.4; in our folder: 13.0.3, 12.9.2",
        "  try:  %cuda_install cu124",
        "        (uses that one)",
    ]
    with pytest.raises(NotInstalledError) as caught:
        found(home, "12.4", hint="%cuda_install --list", others=lambda: others)
    assert caught.value.hint == "%cuda_install --list"
    for absent in ("12", "12.40", ""):  # ours is looked for first
        if absent == "12":
            assert found(home, absent, others=lambda: others).name == "12.9.2"
            continue
        with pytest.raises(NotInstalledError, match="is not installed"):
            found(home, absent, others=lambda: others)


def test_what_is_removed_is_not_guessed(home: Home) -> None:
    """Of several, each is named; the only one of a minor version is meant."""
    second = Installed(name="13.4.3", build="13.4.1", method="wheels", installed=1.0)
    (home.toolkits / "13.4.3").mkdir()
    write_card(home.toolkits / "13.4.3", second)
    assert found(home, "13.0", only=True).name == "13.0.3"
    with pytest.raises(CudaError) as caught:
        found(home, "13", only=True)
    assert caught.value.render() == [
        "CudaError: 13 may mean each of 2 toolkits",
        "  seen: in our folder: 13.4.3, 13.0.3, 12.9.2",
        "  try:  %cuda_install --uninstall 13.4.3",
        "        or",
        "        %cuda_install --uninstall 13.0.3",
    ]


def test_another_ones_toolkit_is_not_uninstalled_by_us(home: Home) -> None:
    """What is said of ours helps nobody with that of the system."""
    rung = Rung(name="run", verdict="failed", why="It is broken.", fix=REINSTALL)
    other = Ladder(root="/usr/local/cuda-12.4", build="12.4.131", rungs=(rung,))
    (told,) = with_own_fixes(other, home).rungs
    assert told.fix == "%cuda_install --plan 12.4   names other ways to have it"
    ours = Ladder(root=str(home.toolkits / "13.0.3"), build="13.0.88", rungs=(rung,))
    assert with_own_fixes(ours, home) == ours


@pytest.mark.parametrize("version", ["", "  "])
def test_no_version_at_all(home: Home, version: str) -> None:
    """All that can be typed is told."""
    with pytest.raises(NotInstalledError) as caught:
        named(home, version, "use")
    assert caught.value.render() == [
        "NotInstalledError: --use does not say which CUDA",
        "  seen: in our folder: 13.0.3, 12.9.2",
        "  try:  %cuda_install --use 13.0.3",
        "        or",
        "        %cuda_install --use 12.9.2",
        "        or",
        "        %cuda_install --use none",
        "        (what was used before us)",
        "        or",
        "        %cuda_install --list",
    ]
    with pytest.raises(NotInstalledError) as caught:
        named(home, version, "uninstall")
    assert "none" not in caught.value.hint
    assert named(home, " 13.0 ", "use") == "13.0"


def test_no_version_where_nothing_is_installed(tmp_path: Path) -> None:
    """Then there is one to be installed first."""
    with pytest.raises(NotInstalledError) as caught:
        named(Home(tmp_path), "", "use")
    assert caught.value.seen == "in our folder: none yet"
    assert caught.value.hint.endswith("\nor\n%cuda_install auto")
    with pytest.raises(
        NotInstalledError
    ) as caught:  # who wants one gone wants no new one
        named(Home(tmp_path), "", "uninstall")
    assert caught.value.hint == "%cuda_install --list"


def test_of_many_toolkits_three_are_named(home: Home) -> None:
    """The newest; all are seen."""
    for name in ("11.1.1", "11.8.0", "9.2.148"):
        card = Installed(name=name, build=name, method="redist", installed=1.0)
        (home.toolkits / name).mkdir()
        write_card(home.toolkits / name, card)
    with pytest.raises(NotInstalledError) as caught:
        named(home, "", "use")
    assert caught.value.seen == "in our folder: 13.0.3, 12.9.2, 11.8.0, 11.1.1, 9.2.148"
    assert caught.value.hint.count("--use 1") == 3


def test_what_is_in_use(
    home: Home, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """CUDA_HOME, then nvcc on PATH, then the newest of ours."""
    monkeypatch.delenv("CUDA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "other" / "bin"))
    root, build, variables = in_use(home)
    assert (root.name, build) == ("13.0.3", "13.0.88")
    assert variables == {"CUDAHOSTCXX": f"{root}/g++"}
    nvcc = tmp_path / "other" / "bin" / "nvcc"
    nvcc.parent.mkdir(parents=True)
    nvcc.write_text("#!/bin/sh\n")
    nvcc.chmod(0o755)
    assert in_use(home) == (tmp_path / "other", None, {})
    real = tmp_path / "real" / "bin" / "nvcc"
    nvcc.write_text(f'#!/bin/sh\nexec {real} "$@"\n')  # as images and Debian have it
    assert in_use(home) == (tmp_path / "real", None, {})
    monkeypatch.setenv("CUDA_HOME", str(home.toolkits / "12.9.2"))
    assert in_use(home)[1] == "12.9.88"


def test_the_gpu() -> None:
    """Of several the first that tells its capability; none without a GPU."""
    assert capability(load("colab_t4")) == 75
    assert capability(load("colab_cpu")) is None
    assert capability(load("b200_server")) == 100
