"""What can be wrong with ``%colab_setup`` itself; its parts have errors of their own."""

from __future__ import annotations

from typing import Final

from colabmagic.errors import ColabMagicError, wants_traceback


class SetupValueError(ColabMagicError, ValueError):
    """What a file or a setting asks for cannot be."""


_ABOVE: Final = "see above"


class SetupRequiredError(ColabMagicError, RuntimeError):
    """The machine lacks what the notebook requires.

    Parameters
    ----------
    what, seen
        As for every error here.
    hint
        The same; left out where the report has been shown, which says it.
    report
        The `colabmagic.setup.outcome.SetupReport`; None after a journey between processes.
    """

    def __init__(
        self,
        what: str,
        *,
        seen: str | None = None,
        hint: str = _ABOVE,
        report: object = None,
    ) -> None:
        super().__init__(what, seen=seen, hint=hint)
        self.report = report

    def _render_traceback_(self) -> list[str]:
        """Answer IPython: one line where the rest stands above."""
        if wants_traceback() or self.hint != _ABOVE:
            return super()._render_traceback_()
        return [f"{type(self).__name__}: {self.what}; {self.hint}"]
