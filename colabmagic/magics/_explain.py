"""Show, below the traceback of a cell that failed, what it means."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from colabmagic.magics._config import ColabMagic

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from colabmagic.explain.model import Explanation


class Explainer:
    """Watches the cells of one shell; keeps texts, never an error.

    Parameters
    ----------
    shell
        The shell.
    """

    def __init__(self, shell: InteractiveShell) -> None:
        self._shell = shell
        self._seen: tuple[int, Explanation | None] | None = None
        self._last: weakref.ref[Any] | None = None

    def install(self) -> None:
        """Begin to watch.

        The event is the one before `post_run_cell`: a session of ours brings everything
        home at its end, and what was on which device has to be seen before.
        """
        self._shell.events.register("post_execute", self._after_cell)

    def remove(self) -> None:
        """Watch no more."""
        callbacks = self._shell.events.callbacks["post_execute"]
        callbacks[:] = [each for each in callbacks if each != self._after_cell]

    def see(self, error: BaseException) -> None:
        """Explain an error of a session's body now; it is shown below its traceback.

        Parameters
        ----------
        error
            The error, which is about to leave the session.
        """
        if ColabMagic.of(self._shell).explain:
            self._seen = id(error), self._explain(error, in_session=True)

    def _after_cell(self) -> None:
        """Explain what the cell that has just ended raised."""
        seen, self._seen = self._seen, None
        result = self._shell.last_execution_result
        # Some ends of cells leave no result of their own: that of another one is there.
        if result is None or (self._last is not None and self._last() is result):
            return
        self._last = weakref.ref(result)
        error = result.error_in_exec
        if error is None or getattr(result.info, "silent", False):
            return
        if not ColabMagic.of(self._shell).explain:
            return
        if seen is not None and seen[0] == id(error):
            explanation = seen[1]
        else:
            explanation = self._explain(error, in_session=self._in_session())
        if explanation is not None:
            bundle = explanation._repr_mimebundle_()
            self._shell.display_pub.publish(data=bundle, metadata={})

    def _in_session(self) -> bool:
        """Tell whether the cell ran under ``%%train_on``."""
        from colabmagic.magics import _sessions  # noqa: PLC0415 (lazy)

        return _sessions.is_open(self._shell, "train_on")

    def _explain(self, error: BaseException, *, in_session: bool) -> Explanation | None:
        """Ask the rules; what goes wrong with them is no concern of the user."""
        from colabmagic.explain import catalogue, engine  # noqa: PLC0415 (lazy)

        language = ColabMagic.of(self._shell).language
        languages = catalogue.preferred() if language == "auto" else (language,)
        train_on = "train_on" if in_session else None
        try:
            return engine.explain(error, self._shell.user_ns, train_on, languages)
        except Exception:  # noqa: BLE001 (a second error would hide the user's own)
            return None
