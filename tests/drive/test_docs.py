"""``docs/drive.md`` tells what the catalogue knows, and no more."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from colabmagic.drive.account import auth
from colabmagic.drive.trouble import catalogue
from tests.drive.trouble.test_catalogue import leaves, take

ROOT = Path(__file__).parents[2]
DOCS = (ROOT / "docs/drive.md").read_text("utf-8")
FAILURES = DOCS.partition("## By class of error\n")[2]


def test_the_headings_are_those_of_the_catalogue() -> None:
    """One for each entry, in its order, and one for each class that can be raised."""
    headings = re.findall(r"^### (.*)$", FAILURES, re.MULTILINE)
    assert headings == [failure.heading for failure in catalogue.ALL]
    named = {heading.partition(":")[0] for heading in headings}
    assert {kind.__name__ for kind in leaves()} <= named


@pytest.mark.parametrize("failure", catalogue.ALL, ids=lambda failure: failure.code)
def test_each_section_is_that_of_the_catalogue(failure: catalogue.Failure) -> None:
    """The words are the same; where they are not, this prints the section to be pasted."""
    section = failure.markdown()
    assert section in FAILURES, f"write this into docs/drive.md:\n\n{section}"


def test_links_lead_somewhere() -> None:
    """Files that it links to are there, and headings too."""
    anchors = {_slug(line) for line in re.findall(r"^#+ (.*)$", DOCS, re.MULTILINE)}
    for target in re.findall(r"\]\(([^)]+)\)", DOCS):
        if target.startswith("#"):
            assert target[1:] in anchors
        elif "://" not in target:
            assert (ROOT / "docs" / target.partition("#")[0]).is_file()
    for failure in catalogue.ALL:
        assert failure.anchor.partition("#")[2] in anchors


def _slug(heading: str) -> str:
    """Return the anchor that GitHub makes of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def test_commands_can_be_typed() -> None:
    """Each command of the guide is one that the magic, or the shell, takes."""
    pattern = r"(?:^|`)((?:%mount_drive|python -m colabmagic)[^`\n]*)"
    commands = re.findall(pattern, DOCS, re.MULTILINE)
    assert len(commands) > 50
    for command in commands:
        take(command)


def test_names_are_those_of_the_code() -> None:
    """The secret, the variables and gcloud's command are what the code looks for."""
    for name in (auth.SECRET_NAME, auth.GCLOUD, "COLABMAGIC_HOME", "XDG_CONFIG_HOME"):
        assert name in DOCS
