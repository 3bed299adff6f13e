"""What a report can do in every front end, once its text, HTML and data are known."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar

from colabmagic.report.text import render_text

if TYPE_CHECKING:
    from colabmagic.report.model import Report


class Document:
    """Base of reports: JSON, ``print`` and the forms that notebooks know."""

    __slots__ = ()

    mime_type: ClassVar[str]

    def view(self) -> Report:
        """Return what a person sees."""
        raise NotImplementedError

    @property
    def headline(self) -> str:
        """Return the answer in one line."""
        return self.view().headline

    @property
    def text(self) -> str:
        """Return the whole report as text of at most 80 columns."""
        return render_text(self.view())

    @property
    def html(self) -> str:
        """Return the whole report as HTML."""
        from colabmagic.report.html import render_html  # noqa: PLC0415 (not by a shell)

        return render_html(self.view())

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        raise NotImplementedError

    def to_json(self) -> str:
        """Return one JSON document."""
        return json.dumps(self.to_dict(), indent=2)

    def __str__(self) -> str:
        """Return the text."""
        return self.text

    def _repr_mimebundle_(
        self, include: object = None, exclude: object = None
    ) -> dict[str, object]:
        """Return the report in the forms that front ends know."""
        del include, exclude  # IPython filters by itself
        return {
            "text/plain": self.text,
            "text/html": self.html,
            self.mime_type: self.to_dict(),
        }
