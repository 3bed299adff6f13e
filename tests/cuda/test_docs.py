"""``docs/cuda.md`` has a section for each error, with a message as it really comes."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from colabmagic.cuda import errors
from colabmagic.cuda.current import found
from colabmagic.cuda.errors import CudaError
from colabmagic.cuda.fetching import trouble
from colabmagic.cuda.fetching.cache import Cache
from colabmagic.cuda.planning.make import make_plan
from colabmagic.cuda.planning.plan import METHODS, Options
from colabmagic.cuda.service import refusal
from colabmagic.cuda.steps.base import Work
from colabmagic.cuda.steps.command import Command
from colabmagic.cuda.steps.verify import Verify
from colabmagic.cuda.store.layout import Home
from colabmagic.cuda.store.lock import locked
from colabmagic.host.command import run
from colabmagic.magics.cuda import CudaMagics
from colabmagic.report.progress import SILENT
from tests.cuda.planning.machines import load

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
DOCS = (ROOT / "docs/cuda.md").read_text("utf-8")
CLASSES = {each.code: each for each in CudaError.__subclasses__()}
APT = "echo 'E: Could not get lock /var/lib/dpkg/lock-frontend.' >&2; exit 100"
FILE = "https://developer.download.nvidia.com/compute/cuda/redist/a.tar.xz"


def planned(
    code: str, machine: str, wanted: str, body: str = "", **options: object
) -> CudaError:
    """Return what stands against a plan, or what it warns of."""
    facts = load(machine)
    if code == "E12":
        assert facts.torch is not None
        torch = replace(facts.torch, is_imported=True)
        facts = replace(facts, torch=torch, imported={"torch": torch.version})
    made = make_plan(wanted, body, facts, Options(**options))  # type: ignore[arg-type]
    told = [*made.problems, *made.warnings]
    return refusal(next(each for each in told if each.code == code))


def raised(act: Callable[[], object]) -> CudaError:
    """Return the error that an act ends with."""
    with pytest.raises(CudaError) as caught:
        act()
    return caught.value


def work_in(folder: Path) -> Work:
    """Return what steps work with."""
    home = Home(folder)
    staging = home.toolkits / ".staging-x"
    staging.mkdir(parents=True, exist_ok=True)
    cache = Cache(home.cache)
    return Work(home=home, staging=staging, cache=cache, run=run, progress=SILENT)


def busy(folder: Path) -> None:
    """Take the lock twice."""
    with locked(Home(folder)), locked(Home(folder)):
        pass


def message(code: str, folder: Path) -> CudaError:
    """Return a real message of each class."""
    known: dict[str, tuple[str, ...]] = {
        "E01": ("colab_t4", "12.7"),
        "E02": ("alpine_musl", "12.4"),
        "E03": ("b200_server", "13.0"),
        "E04": ("debian11_cpu", "9.0"),
        "E05": ("no_compiler_fedora", "13.0"),
        "E06": ("kaggle_p100", "13.0"),
        "E07": ("kaggle_p100", "12.4"),
        "E08": ("full_disk", "13.0"),
        "E11": ("colab_t4", "11.1", "torch==1.10.1"),
        "E12": ("colab_t4", "12.4", "torch"),
        "E14": ("colab_cpu", "torch"),
        "E15": ("b200_server", "12.9"),
        "E17": ("polluted", "11.8"),
        "E18": ("colab_t4", "13.0"),
        "E21": ("colab_t4", "13.0", "numpy=1.26"),
    }
    if code in known:
        return planned(code, *known[code])
    if code == "E13":
        return planned(code, "h100_server", "12.4", system=True)
    if code == "E16":
        return planned(code, "colab_t4", "12.4", method="wheels")
    apt = Command(argv=("sh", "-c", APT), what="install cuda-nvcc-12-4")
    acts: dict[str, Callable[[], object]] = {
        "E19": lambda: apt.do(work_in(folder)),
        "E20": lambda: Verify(build="13.0", root=str(folder)).do(work_in(folder)),
        "E22": lambda: busy(folder),
        "E23": lambda: found(Home(folder), "12.4"),
    }
    if code in acts:
        return raised(acts[code])
    if code == "E09":
        return trouble.unreachable("cuda_nvcc", FILE, "no answer within 20 s")
    assert code == "E10"
    return trouble.wrong_bytes(
        "cuda_nvcc", FILE, "its SHA-256 is 0a1b…, and should be 2c3d…"
    )


def shown(error: CudaError, folder: Path) -> str:
    """Return a message without what differs from run to run."""
    text = "\n".join(error.render()).replace(str(folder), "/data/colabmagic")
    return re.sub(r"process \d+", "process 4242", text)


def section(code: str) -> str:
    """Return the section of a class."""
    heading = f"### {code} `{CLASSES[code].__name__}`\n"
    assert heading in DOCS, f"docs/cuda.md needs: {heading}"
    return DOCS.partition(heading)[2].partition("\n### ")[0]


def test_the_headings_are_the_classes() -> None:
    """One for each, in the order of the codes; the tree in the module is the same."""
    headings = re.findall(r"^### (E\d\d) `(\w+)`$", DOCS, re.MULTILINE)
    assert headings == [(code, CLASSES[code].__name__) for code in sorted(CLASSES)]
    assert sorted(CLASSES) == [f"E{number:02}" for number in range(1, 24)]
    for code, kind in CLASSES.items():
        assert f"{kind.__name__} ({code}" in (errors.__doc__ or "")


@pytest.mark.parametrize("code", sorted(CLASSES))
def test_each_section_has_a_real_message(code: str, tmp_path: Path) -> None:
    """What is seen is what the code says, whole, with something that can be typed."""
    error = message(code, tmp_path)
    assert type(error) is CLASSES[code]
    assert error.hint
    text = shown(error, tmp_path)
    block = f"```\n{text}\n```"
    assert block in section(code), f"write this into docs/cuda.md:\n\n{block}"


def test_commands_can_be_typed() -> None:
    """Each command of the guide is one that the magic takes."""
    from colabmagic.magics._base import parse
    from colabmagic.magics.cuda import _verb

    commands = re.findall(
        r"(?:^|`|try:  | {8})%{1,2}cuda_install([^`\n]*)", DOCS, re.MULTILINE
    )
    assert len(commands) > 20
    for command in commands:
        line = re.split(r" {3}|, then ", command)[0].replace("VERSION", "12.4")
        _verb(parse(CudaMagics.cuda_install, line), "")


def test_each_way_is_told() -> None:
    """By the name that ``--method`` takes."""
    for method in METHODS:
        assert f"| `{method}` |" in DOCS


def test_links_lead_somewhere() -> None:
    """Files that it links to are there."""
    for target in re.findall(r"\]\(([^)#]+)", DOCS):
        if "://" not in target:
            assert (ROOT / "docs" / target).is_file(), target
