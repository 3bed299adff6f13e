"""What README and CONTRIBUTING say is true."""

from __future__ import annotations

import importlib
import re
from typing import TYPE_CHECKING

import pytest

from colabmagic.magics import BODY_MAGICS, CELL_MAGICS, MAGICS
from tests.repo.project import ROOT, text_of
from tests.repo.session import session_cells

if TYPE_CHECKING:
    import argparse

WITH_BODY = {*CELL_MAGICS, *BODY_MAGICS}
PAPERS = ["README.md", "CONTRIBUTING.md", "docs/design.md"]
MOST_LINES = 12
LARGEST_PICTURE_BYTES = 300_000


def rows(text: str, heading: str) -> list[str]:
    """Return the first cells of the table below a heading."""
    section = text.split(f"{heading}\n", 1)[1]
    table = re.search(r"^\|.*\n\|[-|]+\n((?:\|.*\n)+)", section, re.MULTILINE)
    assert table, f"no table below {heading}"
    return [line.split("|")[1].strip() for line in table[1].splitlines()]


def parser_of(magic: str) -> argparse.ArgumentParser:
    """Return the parser of a magic's options."""
    module, _, name = MAGICS[magic].partition(":")
    method = getattr(getattr(importlib.import_module(module), name), magic)
    parser: argparse.ArgumentParser = method.parser
    return parser


def test_the_readme_lists_the_magics_that_exist() -> None:
    """The table of magics has one row for each, in the order of `MAGICS`."""
    expected = [f"%%{name}" if name in WITH_BODY else f"%{name}" for name in MAGICS]
    listed = [
        row.strip("`").split()[0] for row in rows(text_of("README.md"), "## The magics")
    ]
    assert listed == expected, f"the rows should be {expected}"


@pytest.mark.parametrize("magic", MAGICS)
def test_the_readme_lists_the_options_of_a_magic(magic: str) -> None:
    """Each option is in the table, with its choices; no row is out of date."""
    sign = "%%" if magic in WITH_BODY else "%"
    listed = rows(text_of("README.md"), f"### `{sign}{magic}`")
    expected = []
    for action in parser_of(magic)._actions:
        if action.option_strings:
            value = ""
            if action.choices:
                value = " {" + ",".join(map(str, action.choices)) + "}"
            elif action.nargs == "?":
                value = f" [{action.metavar}]"
            elif isinstance(action.metavar, tuple):
                value = " " + " ".join(action.metavar)
            elif action.nargs != 0:
                value = f" {action.metavar or action.dest.upper()}"
            names = [f"`{name}`" for name in action.option_strings]
            expected.append(", ".join([*names[:-1], names[-1][:-1] + value + "`"]))
    assert listed == expected, "\n".join(["the rows should be:", *expected])


def test_the_session_is_short_and_is_python() -> None:
    """The README's session has twelve lines, and compiles but for its magics."""
    cells = session_cells()
    lines = [line for cell in cells for line in cell.splitlines()]
    assert len(lines) <= MOST_LINES
    plain = [line for line in lines if not line.startswith("%")]
    compile("\n".join(plain), "README.md", "exec")
    assert lines[0] == "%load_ext colabmagic"


@pytest.mark.parametrize("paper", PAPERS)
def test_links_lead_to_files(paper: str) -> None:
    """Every file that a paper links to is there."""
    for target in re.findall(r"\]\(([^)#]+)\)", text_of(paper)):
        if "://" not in target:
            assert (ROOT / paper).parent.joinpath(target).is_file(), target


@pytest.mark.parametrize("paper", PAPERS)
def test_make_commands_exist(paper: str) -> None:
    """Every `make …` that a paper names is a target."""
    targets = set(re.findall(r"^([a-z]+):", text_of("Makefile"), re.MULTILINE))
    named = re.findall(r"(?:^|`)make ([a-z]+)", text_of(paper), re.MULTILINE)
    assert set(named) <= targets


def test_files_that_contributing_names_exist() -> None:
    """The recipes name files that are there."""
    text = text_of("CONTRIBUTING.md")
    for name in re.findall(r"`((?:colabmagic|tests|docs|requirements)/[\w./]+)`", text):
        if "NAME" not in name:
            assert (ROOT / name).exists(), name
    for name in re.findall(r"`((?:gpu|train|magics)/\w+\.py)`", text):
        assert (ROOT / "colabmagic" / name).exists(), name


def test_pictures_are_small() -> None:
    """A picture in the documents does not slow a clone."""
    for path in (ROOT / "docs" / "images").iterdir():
        assert path.suffix == ".png"
        assert path.stat().st_size < LARGEST_PICTURE_BYTES, path.name
