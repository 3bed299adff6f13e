"""Errors that teach: what an exception of PyTorch means in the user's own names.

``explain(error)`` reads the exception, its traceback and the source of the cell. It runs
no code of the user, imports no torch and asks nobody. What it does not know for certain
it does not say: most exceptions have no explanation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from colabmagic.explain.model import Explanation

__all__ = ["explain"]


def explain(
    error: BaseException,
    *,
    namespace: Mapping[str, object] | None = None,
    train_on: str | None = None,
    languages: tuple[str, ...] | None = None,
) -> Explanation | None:
    """Explain an error, or return None where nothing certain can be said.

    Parameters
    ----------
    error
        The exception; neither it nor its traceback is changed, or kept.
    namespace
        The user's names; left out, those of the outermost frame in the traceback.
    train_on
        The device, if the code ran in a cell under ``%%train_on``.
    languages
        Languages besides English, such as ``("zh",)``; left out, what
        ``COLABMAGIC_LANG``, ``LC_ALL`` and ``LANG`` say.

    Examples
    --------
    >>> try:
    ...     model(batch)
    ... except RuntimeError as error:
    ...     print(explain(error) or "no explanation")
    """
    from colabmagic.explain import engine  # noqa: PLC0415 (light until an error comes)

    return engine.explain(error, namespace, train_on, languages)
