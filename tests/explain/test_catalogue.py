"""A language is one file, and it is complete."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from colabmagic.explain import catalogue
from tests.explain.cases import CASES

ROOT = Path(__file__).parents[2]
RULES = ROOT / "colabmagic" / "explain" / "rules"
LITERAL = re.compile(r'"([a-z]+(?:-[a-z]+)+)(?:\.[a-z-]+|\.\{\w+\})?"')
OTHERS = [name for name in catalogue.available() if name != catalogue.ENGLISH]


def codes() -> set[str]:
    """Return the codes that the English file knows."""
    return set(catalogue.load(catalogue.ENGLISH).titles)


def test_there_is_a_second_language() -> None:
    """English is there, and Chinese."""
    assert {"en", "zh"} <= set(catalogue.available())


@pytest.mark.parametrize("language", OTHERS)
def test_a_language_is_complete(language: str) -> None:
    """Every title and message, with the same places and as many steps."""
    english, other = catalogue.load(catalogue.ENGLISH), catalogue.load(language)
    assert set(other.titles) == set(english.titles)
    assert set(other.messages) == set(english.messages)
    assert set(other.places) == set(english.places)
    for key, words in english.places.items():
        assert catalogue.places(other.places[key]) == catalogue.places(words), key
    for key, message in english.messages.items():
        same = other.messages[key]
        assert len(same.fix) == len(message.fix), key
        for ours, theirs in zip(message.fix, same.fix, strict=True):
            assert ours.startswith("> ") == theirs.startswith("> "), key
            if ours.startswith("> "):
                assert ours == theirs, key
            assert catalogue.places(ours) == catalogue.places(theirs), key
        # A sentence may say more than the English one, never less.
        assert catalogue.places(message.cause) <= catalogue.places(same.cause), key


@pytest.mark.parametrize("language", catalogue.available())
def test_texts_are_plain(language: str) -> None:
    """No markup, no control characters, no brace that is no place."""
    words = catalogue.load(language)
    texts = [
        *words.titles.values(),
        *words.places.values(),
        *(text for m in words.messages.values() for text in (m.cause, *m.fix)),
    ]
    for text in texts:
        assert text
        assert text.isprintable()
        assert not re.search(r"<\w", text), text
        assert not re.search(r"[{}]", catalogue.fill(text, _Anything())), text


class _Anything(dict[str, str]):
    """Fills every place."""

    def __missing__(self, key: str) -> str:
        return "x"


def test_the_rules_and_the_file_know_the_same_messages() -> None:
    """Every code has a title, a message and a case, and every title a message."""
    messages = catalogue.load(catalogue.ENGLISH).messages
    assert {key.partition(".")[0] for key in messages} == codes()
    assert {case.key for case in CASES} == codes()
    source = "".join(path.read_text(encoding="utf-8") for path in RULES.glob("*.py"))
    assert codes() <= set(LITERAL.findall(source))


def test_every_code_has_a_heading() -> None:
    """The page of errors names each code once, and no other."""
    page = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    headings = re.findall(r"^### `([a-z-]+)`$", page, re.MULTILINE)
    assert len(headings) == len(set(headings))
    assert set(headings) == codes()


def test_values_are_never_places() -> None:
    """A name of the user in braces is shown as it is."""
    assert catalogue.fill("`{name}` is", {"name": "{other}"}) == "`{other}` is"


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"LANG": "zh_CN.UTF-8"}, ("zh",)),
        ({"LANG": "zh"}, ("zh",)),
        ({"LANG": "en_US.UTF-8"}, ()),
        ({"LANG": "C.UTF-8"}, ()),
        ({"LANG": "de_DE.UTF-8"}, ()),
        ({"LANG": "zh_CN", "LC_ALL": "en_US.UTF-8"}, ()),
        ({"LANG": "en_US", "COLABMAGIC_LANG": "zh"}, ("zh",)),
        ({"LANG": "zh_CN", "COLABMAGIC_LANG": "en"}, ()),
        ({"LANG": "../../etc/passwd"}, ()),
        ({}, ()),
    ],
)
def test_the_language_comes_from_the_environment(
    variables: dict[str, str],
    expected: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Our own variable goes before the locale's."""
    for name in ("COLABMAGIC_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert catalogue.preferred() == expected


def test_files_are_utf_8_json() -> None:
    """They are written for people: readable letters, one entry a line."""
    for path in catalogue.FOLDER.glob("*.json"):
        text = path.read_text(encoding="utf-8")
        assert json.loads(text)
        assert "\\u" not in text
