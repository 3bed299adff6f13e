"""Every code has a rule, tests on both sides, and a heading in the docs."""

from __future__ import annotations

import re
from pathlib import Path

from colabmagic.gpu import rules

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs/gpu_check.md"
# The last resort, and what only `--deep` and `--bench` can find.
BESIDES = {"unexplained"}
HEADING = re.compile(r"^### `([a-z-]+)`$", re.MULTILINE)
CODE_IN_SOURCE = re.compile(r"""code=["']([a-z-]+)["']""")
RULE_IN_TEST = re.compile(r"\((?:rules|health|torch|place|install|driver)\.(\w+),")


def rule_names() -> set[str]:
    """Return the names of all rules."""
    return {rule.__name__ for group in rules.GROUPS for rule in group}


def codes() -> set[str]:
    """Return all codes."""
    names = {name.removesuffix("_without_instances") for name in rule_names()}
    return {name.replace("_", "-") for name in names} | BESIDES | codes_of_trials()


def codes_of_trials() -> set[str]:
    """Return the codes that stand in the sources of trials and measurements."""
    sources = [*(ROOT / "colabmagic/gpu").rglob("bench*.py")]
    sources += (ROOT / "colabmagic/gpu").rglob("deep*.py")
    text = "".join(path.read_text(encoding="utf-8") for path in sources)
    return set(CODE_IN_SOURCE.findall(text))


def test_every_code_has_a_heading() -> None:
    """The docs name each code once, and no other."""
    headings = HEADING.findall(DOCS.read_text(encoding="utf-8"))
    assert len(headings) == len(set(headings))
    assert set(headings) == codes()


def test_every_rule_has_a_trigger_and_a_near_miss() -> None:
    """Each rule stands in a table of tests as (rule, hit, miss)."""
    tested = {
        name
        for path in (ROOT / "tests/gpu").glob("test_rules_*.py")
        for name in RULE_IN_TEST.findall(
            re.sub(r"\(\s+", "(", path.read_text(encoding="utf-8"))
        )
    }
    assert rule_names() - tested == set()
