"""How Colab's front ends answer a kernel: four profiles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

REFUSAL = "Error: credential propagation was unsuccessful"


@dataclass(frozen=True)
class Answer:
    """What the page sends back; `error` wins over `data`."""

    data: Any = None
    error: str | None = None

    def content(self) -> dict[str, Any]:
        """Return it as the reply carries it."""
        return {"data": self.data} if self.error is None else {"error": self.error}


@dataclass(frozen=True)
class Request:
    """One request of the kernel to the page."""

    kind: str
    body: dict[str, Any]
    metadata: dict[str, Any]
    parent_header: dict[str, Any]

    @property
    def wants_reply(self) -> bool:
        """Tell whether the kernel waits for an answer."""
        return "colab_msg_id" in self.metadata


class Page:
    """The web page: runs JavaScript, gives credentials, keeps secrets.

    Parameters
    ----------
    javascript
        Called with each script; returns its value, or raises to fail.
    secrets
        What the user has stored, by name.
    """

    def __init__(
        self,
        javascript: Callable[[str], Any] | None = None,
        secrets: Mapping[str, str] | None = None,
    ) -> None:
        self.javascript = javascript or (lambda _script: None)
        self.secrets = dict(secrets or {})

    def __call__(self, kind: str, body: dict[str, Any]) -> dict[str, Any] | None:
        """Answer without a kernel: the double's `_message.page`."""
        answer = self.answer(Request(kind, body, {}, {}))
        return None if answer is None else answer.content()

    def answer(self, request: Request) -> Answer | None:
        """Return the answer to a request, or None for silence."""
        if request.kind == "cell_javascript_eval":
            return self.answer_javascript(request)
        if request.kind == "GetSecret":
            return self.answer_secret(request)
        return self.answer_auth(request) if request.kind == "request_auth" else Answer()

    def answer_javascript(self, request: Request) -> Answer | None:
        """Run the script of a request."""
        try:
            return Answer(self.javascript(request.body["script"]))
        except Exception as error:  # noqa: BLE001 (a page reports whatever is thrown)
            return Answer(error=f"Error: {error}")

    def answer_secret(self, request: Request) -> Answer | None:
        """Look a secret up."""
        value = self.secrets.get(request.body["key"])
        exists = value is not None
        return Answer({"exists": exists, "access": exists, "payload": value})

    def answer_auth(self, request: Request) -> Answer | None:
        """Let the user agree."""
        del request
        return Answer()


class AuthOnlyPage(Page):
    """VS Code and the command line client: credentials, nothing else."""

    def answer(self, request: Request) -> Answer | None:
        """Answer request_auth only."""
        return self.answer_auth(request) if request.kind == "request_auth" else None


class SilentPage(Page):
    """A closed tab, or a front end that knows nothing of Colab."""

    def answer(self, request: Request) -> Answer | None:
        """Never answer."""
        del request


class RefusingPage(Page):
    """The web page with a user who says no to everything."""

    def answer_auth(self, request: Request) -> Answer | None:
        """Refuse."""
        del request
        return Answer(error=REFUSAL)

    def answer_secret(self, request: Request) -> Answer | None:
        """Admit that the secret exists, but do not show it."""
        return Answer({"exists": request.body["key"] in self.secrets, "access": False})


PROFILES: dict[str, type[Page]] = {
    "web": Page,
    "auth_only": AuthOnlyPage,
    "silent": SilentPage,
    "refusing": RefusingPage,
}
