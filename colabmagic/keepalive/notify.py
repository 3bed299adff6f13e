"""Post a short text to a chat's webhook, and never show where to.

The address of a webhook is a password: who knows it can post. So it is shown as
``https://host/…``, redirects are not followed, and errors are told by their kind alone.
"""

from __future__ import annotations

import contextlib
import logging
import re
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from colabmagic.keepalive.errors import KeepaliveOptionError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TIMEOUT_S: Final = 10.0
TRIES: Final = 3
PAUSE_S: Final = 2.0
DEADLINE_S: Final = 40.0  # of all tries together
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_TOO_MANY: Final = 429
_REDIRECT, _REFUSED, _FAILED = 300, 400, 500
_LOGS: Final = "urllib3"
_ADDRESS: Final = re.compile(r"(?i)\b(https?)://[^\s'\"]+")
_HINT: Final = "paste the webhook's whole address: --notify https://host/…"


def shown_url(url: str) -> str:
    """Return an address without what is secret in it.

    Parameters
    ----------
    url
        ``https://…``; ``http://`` is for this machine alone.

    Raises
    ------
    KeepaliveOptionError
        It is no address to which a secret may be sent.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port, parts = "", None, urlsplit("")
    # Browsers and Python read a backslash differently; the rest shows what is not so.
    odd = any(letter in " \\" or not letter.isprintable() for letter in url)
    if not host or odd:
        raise KeepaliveOptionError("--notify got no address", hint=_HINT)
    if parts.scheme != "https" and not (parts.scheme == "http" and host in _LOOPBACK):
        raise KeepaliveOptionError(
            "--notify goes by https alone: its address is a secret",
            seen=f"{parts.scheme[:12] or 'no scheme'}:",
            hint=_HINT,
        )
    at = f":{port}" if port else ""
    bracketed = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{bracketed}{at}/…"


def without_addresses(text: str, line: str) -> str:
    """Return a text about a typed line without what may be an address in it.

    Parameters
    ----------
    text
        What is to be shown.
    line
        What was typed: pasted without ``https://``, an address is no less secret.
    """
    for word in line.split():
        value = word.partition("=")[2] if word.startswith("--") else word
        bare = value.strip("\"'")
        if "/" in bare and "://" not in bare:  # those keep their scheme, below
            text = text.replace(bare, "…")
    return _ADDRESS.sub(r"\1://…", text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """What became of one post.

    Attributes
    ----------
    ok
        Whether the server took it.
    text
        In words, without the secret.
    """

    ok: bool
    text: str


class Notifier:
    """Posts texts to one address, each in a thread that ends by itself.

    Parameters
    ----------
    url
        The webhook.
    sleep
        Waits between two tries.
    timeout_s
        For connecting, and for each piece of the answer.
    """

    def __init__(
        self,
        url: str,
        *,
        sleep: Callable[[float], object] = time.sleep,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self.shown = shown_url(url)
        self._url, self._sleep, self._timeout_s = url, sleep, timeout_s
        self._threads: list[threading.Thread] = []
        self.deliveries: list[Delivery] = []

    def __repr__(self) -> str:
        """Return it without the secret."""
        return f"<Notifier of {self.shown}>"

    def post(self, text: str) -> None:
        """Post a text; returns at once.

        Parameters
        ----------
        text
            Plain words.
        """
        thread = threading.Thread(
            target=self._work,
            args=(text,),
            name="colabmagic-keepalive-post",
            daemon=True,
        )
        self._threads = [each for each in self._threads if each.is_alive()]
        self._threads.append(thread)
        thread.start()

    @property
    def pending(self) -> bool:
        """Whether a post is under way."""
        return any(thread.is_alive() for thread in self._threads)

    def join(self, timeout_s: float) -> None:
        """Wait for the posts that are under way.

        Parameters
        ----------
        timeout_s
            How long.
        """
        ends = time.monotonic() + timeout_s
        for thread in list(self._threads):
            thread.join(max(0.0, ends - time.monotonic()))

    def _work(self, text: str) -> None:
        """Try a few times, and note what became of it."""
        self.deliveries.append(self.send(text))

    def send(self, text: str) -> Delivery:
        """Post a text now; never raises.

        Parameters
        ----------
        text
            Plain words.
        """
        why = "no answer"
        ends = time.monotonic() + DEADLINE_S
        for number in range(TRIES):
            if number:
                self._sleep(PAUSE_S * number)
            if time.monotonic() > ends:
                break
            again, why = self._try(text)
            if not why:
                return Delivery(ok=True, text=f"posted to {self.shown}")
            if not again:
                break
        return Delivery(ok=False, text=f"not posted to {self.shown}: {why}")

    def _try(self, text: str) -> tuple[bool, str]:
        """Post once; return whether to try again, and what went wrong."""
        try:
            status = self._post(text)
        except Exception as error:  # noqa: BLE001 (its text holds the address)
            return True, type(error).__name__
        if status < _REDIRECT:
            return False, ""
        if status < _REFUSED:
            return False, f"HTTP {status}: the address leads elsewhere"
        again = status >= _FAILED or status == _TOO_MANY
        return again, f"HTTP {status}"

    def _post(self, text: str) -> int:
        """Post once; return the status."""
        import requests

        # Both names: Slack, Mattermost and Teams read `text`, Discord `content`.
        body = {"text": text, "content": text}
        with _without_logs(), requests.Session() as session:
            session.auth = _no_login
            with session.post(
                self._url,
                json=body,
                timeout=self._timeout_s,
                allow_redirects=False,
                stream=True,  # nobody reads the answer's body
            ) as answer:
                return int(answer.status_code)


class _NotOurs(logging.Filter):
    """Lets records through, but none of one thread."""

    def __init__(self) -> None:
        super().__init__()
        self._thread = threading.get_ident()

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether a record is another thread's."""
        return record.thread != self._thread


@contextlib.contextmanager
def _without_logs() -> Iterator[None]:
    """Keep urllib3 silent in this thread: its records hold the address."""
    # A filter acts where a record is made, so each logger below gets it, too.
    names = [n for n in list(logging.root.manager.loggerDict) if n.startswith(_LOGS)]
    loggers = [logging.getLogger(name) for name in (*names, _LOGS)]
    silent = _NotOurs()
    for logger in loggers:
        logger.addFilter(silent)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(silent)


def _no_login(request: Any) -> Any:  # noqa: ANN401 (of requests)
    """Leave a request as it is: requests would add what ~/.netrc says of the host."""
    return request
