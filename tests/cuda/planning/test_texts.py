"""The whole of what is told for the cases that tutorials are about.

``FILE.write_text(whole())`` writes the file anew; what changed is to be read then.
"""

from __future__ import annotations

from pathlib import Path

import pytest

import colabmagic
from colabmagic.cuda.planning.make import make_plan
from colabmagic.cuda.planning.plan import Options, Plan, Problem
from tests.cuda.planning.machines import FOLDER, load

FILE = FOLDER.parent / "cuda_plans.txt"
BODY_171 = "torch==1.7.1\ntorchvision\n"
# Machine, what is wanted, the cell's body.
CASES = (
    ("ubuntu1710_driver390", "9.2", ""),
    ("ubuntu1710_driver396", "9.2", ""),
    ("ubuntu1804_torch171", "10.2", ""),
    ("ubuntu1804_torch171", "11.0", BODY_171),
    ("ubuntu1804_torch171", "11.1", ""),
    ("colab_t4", "9.2", ""),
    ("colab_t4", "11.1", ""),
    ("colab_t4", "11.1", "torch==1.10.1\ntorchvision\n"),
    ("colab_t4", "torch", ""),
    ("colab_t4", "13.0", ""),
    ("colab_cpu", "13.0", ""),
    ("colab_cpu", "torch", ""),
    ("kaggle_p100", "13.0", ""),
    ("kaggle_p100", "12.4", ""),
    ("rtx5090_desktop", "12.4", ""),
    ("h100_server", "11.1", ""),
    ("wsl_rtx4070", "12.8", ""),
    ("wsl_rtx4070", "13.0", ""),
    ("debian12_cpu", "11.8", ""),
    ("debian13_cpu", "12.4", ""),
    ("torch_cu130", "torch", ""),
    ("centos7_hpc", "12.4", ""),
    ("alpine_musl", "12.4", ""),
    ("full_disk", "13.0", ""),
    ("no_compiler_fedora", "13.0", ""),
)


def title(machine: str, wanted: str, body: str) -> str:
    """Return the first line of a case."""
    return f"## {machine}: {' '.join([wanted, *body.split()])}"


def told(plan: Plan) -> str:
    """Return all that a plan says, plainly."""
    lines = [
        f"{each.method}: {'yes' if each.fits else 'no'}, {each.why}"
        for each in plan.candidates
    ]
    if plan.can_run and plan.chosen is not None:
        chosen = plan.chosen
        size, room = _mb(chosen.download_bytes), _mb(chosen.disk_bytes)
        lines += [
            f"-> {chosen.method}, {size}, {room} on disk, {chosen.basis}",
            *(f"   {line}" for line in plan.lines()),
        ]
    lines += _problems("Why", plan.problems)
    lines += _problems("Warning", plan.warnings)
    # Where the package lies is of this computer alone.
    return "\n".join(lines).replace(str(Path(colabmagic.__file__).parent), "colabmagic")


def _mb(size: int | None) -> str:
    """Return bytes in words."""
    assert size is not None
    return f"{size // 10**6} MB"


def _problems(word: str, problems: tuple[Problem, ...]) -> list[str]:
    """Return problems in full."""
    lines = []
    for each in problems:
        lines.append(f"{word} {each.code} {each.what}")
        lines += [f"   seen: {each.seen}"] if each.seen else []
        lines += [f"   try: {line}" for fix in each.fix for line in fix.splitlines()]
    return lines


def whole() -> str:
    """Return all cases as the file has them."""
    parts = [
        f"{title(*case)}\n{told(make_plan(case[1], case[2], load(case[0]), Options()))}"
        for case in CASES
    ]
    return "\n\n".join(parts) + "\n"


@pytest.mark.parametrize("case", CASES, ids=lambda case: title(*case))
def test_whole_text(case: tuple[str, str, str]) -> None:
    """It is word for word what was reviewed."""
    sections = FILE.read_text(encoding="utf-8").split("\n\n")
    expected = {
        section.partition("\n")[0]: section.partition("\n")[2] for section in sections
    }
    plan = make_plan(case[1], case[2], load(case[0]), Options())
    assert told(plan) == expected[title(*case)].rstrip("\n")
