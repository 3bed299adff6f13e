"""What can be wrong with ``%colab_setup`` itself; its parts have errors of their own."""

from __future__ import annotations

from colabmagic.errors import ColabMagicError, wants_traceback


class SetupValueError(ColabMagicError, ValueError):
    """What a file or a setting asks for cannot be."""


class SetupRequiredError(ColabMagicError, RuntimeError):
    """The machine lacks what the notebook requires; all has been shown before.

    Parameters
    ----------
    what, seen, hint
        As for every error here.
    report
        The `colabmagic.setup.report.SetupReport`; None after a journey between processes.
    """

    def __init__(
        self,
        what: str,
        *,
        seen: str | None = None,
        hint: str = "see above",
        report: object = None,
    ) -> None:
        super().__init__(what, seen=seen, hint=hint)
        self.report = report

    def _render_traceback_(self) -> list[str]:
        """Answer IPython with one line: what was seen, and what to do, stands above."""
        if wants_traceback():
            raise NotImplementedError  # IPython then draws the ordinary traceback
        return [f"{type(self).__name__}: {self.what}; {self.hint}"]
