"""From an exception to an explanation: the first rule that knows it speaks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from colabmagic.errors import ColabMagicError
from colabmagic.explain import catalogue, rules
from colabmagic.explain.model import Explanation
from colabmagic.explain.scene import MOST_LINKS, Place, Scene
from colabmagic.report.model import Code

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from colabmagic.explain.model import Draft

# Explained elsewhere, or by nobody.
_NOT_OURS = frozenset({"OutOfMemoryError", "MemoryError", "SyntaxError", "UsageError"})
_LONGEST_VALUE = 200


def explain(
    error: BaseException,
    namespace: Mapping[str, object] | None,
    train_on: str | None,
    languages: tuple[str, ...] | None,
) -> Explanation | None:
    """Explain an error; see `colabmagic.explain.explain`."""
    if languages is None:
        languages = catalogue.preferred()
    for link in _links(error):
        if isinstance(link, ColabMagicError) or not isinstance(link, Exception):
            return None
        scene = Scene(link, namespace, train_on)
        if scene.kinds & _NOT_OURS or not scene.text:
            return None
        draft = rules.first(scene)
        if draft is not None:
            return _in_words(draft, languages)
    return None


def _links(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what led to it; a ring ends where it closes."""
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen and len(seen) < MOST_LINKS:
        seen.add(id(link))
        yield link
        hidden = link.__suppress_context__
        link = link.__cause__ or (None if hidden else link.__context__)


def _in_words(draft: Draft, languages: tuple[str, ...]) -> Explanation:
    """Make texts of what a rule found."""
    values = {name: _short(value) for name, value in draft.values.items()}
    english = catalogue.load(catalogue.ENGLISH)
    message = english.messages[draft.key]
    return Explanation(
        code=draft.code,
        title=english.titles[draft.code],
        cause=message.cause_with(values),
        evidence=tuple(_short(line) for line in draft.evidence),
        fix=tuple(
            Code(text) if is_code else text
            for text, is_code in _steps(draft, english, message, values)
        ),
        names=draft.names,
        translations=tuple(_translated(draft, languages)),
    )


def _steps(
    draft: Draft,
    words: catalogue.Language,
    message: catalogue.Message,
    values: Mapping[str, str],
) -> Iterator[tuple[str, bool]]:
    """Yield the steps of a fix; a change in an earlier cell takes one more."""
    steps = list(message.fix_with(values))
    yield from steps
    place = draft.values.get("place")
    is_earlier = isinstance(place, Place) and place.kind == "earlier"
    if is_earlier and any(is_code for _, is_code in steps):
        yield words.places["again"], False


def _translated(draft: Draft, languages: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Yield the explanation in each language that is wanted and there."""
    for language in languages:
        if language == catalogue.ENGLISH or language not in catalogue.available():
            continue
        words = catalogue.load(language)
        message = words.messages[draft.key]
        values = {
            name: _short(_place_in(words, value))
            for name, value in draft.values.items()
        }
        steps = (text for text, _ in _steps(draft, words, message, values))
        line = message.cause_with(values)
        for step in steps:
            line += (" " if line.endswith((":", "：")) else words.joint) + step  # noqa: RUF001 (the Chinese colon)
        yield words.name, line


def _place_in(words: catalogue.Language, value: str) -> str:
    """Return a place in the words of a language; other values as they are."""
    if not isinstance(value, Place):
        return value
    return catalogue.fill(words.places[value.kind], value.parts)


def _short(text: str) -> str:
    """Cut what is too long for a line, and put it on one."""
    flat = " ".join(text.split())
    return flat if len(flat) <= _LONGEST_VALUE else flat[: _LONGEST_VALUE - 1] + "…"
