"""The changelog is built from fragments, in the form of keep-a-changelog."""

from __future__ import annotations

import re
import subprocess
import sys

import colabmagic
from tests.repo.project import ROOT, settings, text_of

KINDS = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"]
FRAGMENT = re.compile(
    r"(?:\d+|\+[\w-]+)\.(?P<kind>[a-z]+)(?:\.\d+)?\.md", re.IGNORECASE
)


def test_fragments_have_a_known_kind() -> None:
    """Each fragment is named ISSUE.KIND.md or +WORD.KIND.md and says something."""
    kinds = {row["directory"] for row in settings()["tool"]["towncrier"]["type"]}
    for path in (ROOT / "changelog.d").iterdir():
        if path.name == ".gitignore":
            continue
        match = FRAGMENT.fullmatch(path.name)
        assert match, f"{path.name}: name it ISSUE.KIND.md"
        assert match["kind"] in kinds, f"{path.name}: kinds are {sorted(kinds)}"
        assert path.read_text(encoding="utf-8").strip()


def test_the_next_entry_can_be_built() -> None:
    """Towncrier makes one entry of all fragments, under headings that readers know."""
    drafted = subprocess.run(
        [sys.executable, "-m", "towncrier", "build", "--draft", "--version", "99.0"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert re.search(r"^## \[99\.0\] - \d{4}-\d\d-\d\d$", drafted, re.MULTILINE)
    headings = re.findall(r"^### (\w+)$", drafted, re.MULTILINE)
    assert headings == [kind for kind in KINDS if kind in headings]


def test_releases_are_named_and_the_newest_is_this_version() -> None:
    """Each release has a number and a date; where there is one, it is ours."""
    text = text_of("CHANGELOG.md")
    assert settings()["tool"]["towncrier"]["start_string"].strip() in text
    headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
    for heading in headings:
        assert re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d", heading)
    if headings:
        assert headings[0].startswith(f"[{colabmagic.__version__}]")
