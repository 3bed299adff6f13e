"""``python -m colabmagic gpu_check``."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from colabmagic.__main__ import PLAIN, main, parse
from colabmagic.gpu.check import check
from colabmagic.gpu.probe import DEADLINE_S
from tests.gpu.machines import change, load

if TYPE_CHECKING:
    from colabmagic.gpu.facts import GpuFacts

# By name: the package shows the function of that name.
check_module = importlib.import_module("colabmagic.gpu.check")

BROKEN = replace(load("own_no_gpu"), failures=("files: bug",))


@pytest.mark.parametrize(
    ("facts", "status"),
    [(load("colab_t4"), 0), (load("colab_cpu"), 1), (BROKEN, 2)],
    ids=["usable", "not usable", "probe failed"],
)
def test_exit_status(
    facts: GpuFacts,
    status: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Shell scripts see the answer in the exit status."""
    monkeypatch.setattr(check_module, "probe_all", lambda *_, **__: facts)
    assert main(["gpu_check"]) == status
    assert "GPU check:" in capsys.readouterr().out
    assert main(["gpu_check", "--quiet"]) == status
    assert capsys.readouterr().out == ""


def test_the_plain_command_is_what_the_parser_makes_of_it() -> None:
    """The short cut has the defaults of the long way, and the check's own deadline."""
    assert vars(parse(["gpu_check"])) == PLAIN
    assert PLAIN["timeout"] == DEADLINE_S


def test_json(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One JSON document and nothing else is printed."""
    monkeypatch.setattr(check_module, "probe_all", lambda *_, **__: load("colab_cpu"))
    main(["gpu_check", "--json"])
    printed = json.loads(capsys.readouterr().out)
    expected = check(load("colab_cpu")).to_dict()
    assert printed["findings"] == expected["findings"]


@pytest.mark.parametrize(
    ("machine", "wanted", "status"),
    [
        ("colab_t4", "cuda,10GiB", 0),
        ("colab_t4", "bf16", 1),
        ("colab_cpu", "cuda", 1),
    ],
)
def test_require(
    machine: str,
    wanted: str,
    status: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What is missing is said on standard error, beside the report."""
    monkeypatch.setattr(check_module, "probe_all", lambda *_, **__: load(machine))
    assert main(["gpu_check", "--require", wanted]) == status
    assert bool(capsys.readouterr().err) == bool(status)


def test_all_fields(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every field is printed; what identifies a card only on request."""
    (device,) = load("colab_t4").nvml.devices
    facts = change(
        load("colab_t4"), nvml={"devices": (replace(device, uuid="GPU-secret"),)}
    )
    monkeypatch.setattr(check_module, "probe_all", lambda *_, **__: facts)
    main(["gpu_check", "--all"])
    printed = capsys.readouterr().out
    assert "SM clock" in printed
    assert "GPU-secret" not in printed
    main(["gpu_check", "--all", "--ids"])
    assert "GPU-secret" in capsys.readouterr().out


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["gpu_check", "--timeout", "0"],
        ["gpu_check", "--require", "much"],
        ["other"],
    ],
)
def test_bad_arguments(argv: list[str]) -> None:
    """A wrong command line is argparse's own error."""
    with pytest.raises(SystemExit) as raised:
        main(argv)
    assert raised.value.code == 2


def test_as_a_module() -> None:
    """It runs by ``-m`` on this machine and says something."""
    done = subprocess.run(
        [sys.executable, "-m", "colabmagic", "gpu_check"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode in {0, 1}, done.stderr
    assert done.stdout.startswith("GPU check: ")
