"""``docs/keepalive.md`` says what the code does, and nothing without a source and a date."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from colabmagic.keepalive import beater, options
from colabmagic.keepalive.place import PLACES, Place
from colabmagic.magics.keepalive import KeepaliveMagics
from tests.keepalive.culling import SCENARIOS

if TYPE_CHECKING:
    import argparse

ROOT = Path(__file__).parents[2]
DOCS = (ROOT / "docs/keepalive.md").read_text("utf-8")
README = (ROOT / "README.md").read_text("utf-8").partition("### `%keepalive`\n")[2]
README = README.partition("\n### ")[0]
PARSER: argparse.ArgumentParser = KeepaliveMagics.keepalive.parser
LINES = re.findall(
    r"^\d+\. .*?(?=^\d+\. |\n\n)",
    DOCS.partition("## In ten lines")[2],
    re.MULTILINE | re.DOTALL,
)


def rows(text: str, head: str = "| option | meaning |") -> dict[str, str]:
    """Return the rows of the table of options."""
    table = text.partition(head + "\n")[2].partition("\n\n")[0].splitlines()[1:]
    return {
        cells[1].strip(): cells[2].strip() for cells in (r.split("|") for r in table)
    }


def test_ten_lines_each_with_its_source() -> None:
    """Colab, Kaggle and Jupyter are among them; each says how it is known."""
    assert len(LINES) == 10
    text = " ".join(LINES)
    for name in ("**Jupyter**", "**JupyterHub**", "**Colab**", "**Kaggle**"):
        assert name in text
    for line in LINES:
        assert re.search(r"\((Measured|Read|Believed)", line), line


def test_sources_have_dates() -> None:
    """Whoever read or measured something says when; an open issue is read today."""
    for line in LINES:
        marks = re.findall(r"\((?:Measured|Read)[^)]*\)", line)
        if any("Read" in mark for mark in marks) and "believed" not in line:
            assert re.search(r"20\d\d|open", line), line


def test_the_terms_have_a_date() -> None:
    """And tell what was not read."""
    terms = DOCS.partition("## What the terms say\n")[2].partition("\n## ")[0]
    assert "September 2025 and July 2026" in " ".join(terms.split())
    assert "Of Kaggle's terms we have read none" in " ".join(terms.split())


def test_both_tables_have_the_same_options() -> None:
    """Those of the parser, in its order (the README is compared elsewhere)."""
    assert list(rows(DOCS)) == list(rows(README))
    named = [
        re.findall(r"`(-[\w-]+)", row)[-1]
        if "`-q`" in row
        else row.split("`")[1].split()[0]
        for row in rows(DOCS)
    ]
    assert named == [
        action.option_strings[-1] for action in PARSER._actions if action.option_strings
    ]


def test_figures_are_those_of_the_code() -> None:
    """Defaults and bounds, in the help, the README and the docs."""
    in_help = {
        a.option_strings[-1]: a.help for a in PARSER._actions if a.option_strings
    }
    words = options.in_words
    for option, default, bounds in (
        ("--for", words(options.FOR_S), [words(options.MOST_FOR_S)]),
        (
            "--every",
            words(options.EVERY_S),
            [words(options.LEAST_EVERY_S), words(options.MOST_EVERY_S)],
        ),
        ("--warn", words(options.WARN_S), []),
        ("--gpu-percent", f"{options.GPU_PERCENT:g}", []),
    ):
        docs, readme = (
            next(text for row, text in rows(page).items() if option in row)
            for page in (DOCS, README)
        )
        assert f"{default} if left out" in docs
        assert all(bound in docs for bound in bounds)
        assert f"(default: {default}" in readme
        assert f"(default: {default}" in str(in_help[option])
    assert f"({beater.LOOK_S:.0f} s, or" in DOCS
    assert beater.LEAVE_GRACE_S == 300
    assert "five minutes after" in " ".join(DOCS.split())


def test_the_choices_are_explained() -> None:
    """Each verb and each choice."""
    for action in PARSER._actions:
        for choice in action.choices or ():
            assert re.search(rf"`(?:%keepalive )?{choice}`", DOCS), choice


@pytest.mark.parametrize("place", PLACES.values(), ids=lambda place: place.code)
def test_each_place_says_what_the_docs_say(place: Place) -> None:
    """Word by word."""
    section = DOCS.partition(f"### {place.name} (`{place.code}`)\n")[2]
    section = " ".join(section.partition("\n#")[0].split())
    assert section, f"{place.code} is missing"
    for text in (place.short, *place.advice):
        assert text in section, f"write into docs/keepalive.md: {text}"


def test_the_measured_table_has_a_row_for_each_scenario() -> None:
    """As many as the test runs."""
    table = rows(DOCS, "| kernel | ended after | as expected |")
    assert len(table) == len(SCENARIOS)


def test_nobody_is_promised_colab() -> None:
    """Neither page says that it keeps what it cannot."""
    assert "It does not keep Colab" in README
    assert "Not known: whether a beat moves Colab's idle timer" in DOCS


def test_links_lead_to_files() -> None:
    """All of them."""
    for target in re.findall(r"\]\(([^)#]+)\)", DOCS):
        assert "://" in target or (ROOT / "docs" / target).is_file()
