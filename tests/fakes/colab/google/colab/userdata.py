"""``userdata``: secrets that the user keeps in the page."""

from __future__ import annotations

import re
import threading

from . import _message, errors

#: The real one waits 10 s; tests have less time.
TIMEOUT_S: float = 10
_lock = threading.Lock()


class NotebookAccessError(Exception):
    """The notebook may not read it; like the real one not below `errors.Error`."""

    def __init__(self, key: str) -> None:
        super().__init__(f"Notebook does not have access to secret {key}")


class SecretNotFoundError(errors.Error):
    """There is no such secret."""

    def __init__(self, key: str) -> None:
        super().__init__(f"Secret {key} does not exist.")


class TimeoutException(errors.Error):
    """Nobody answered."""

    def __init__(self, key: str) -> None:
        super().__init__(
            f"Requesting secret {key} timed out. Secrets can only be fetched when"
            " running from the Colab UI."
        )


def get(key: str) -> str:
    """Return a secret."""
    if not key or not isinstance(key, str):
        raise ValueError("Please enter a valid secret name")
    if re.search(r"\s", key):
        raise ValueError("Secret name cannot contain spaces or whitespace")
    with _lock:
        answer = _message.blocking_request(
            "GetSecret", request={"key": key}, timeout_sec=TIMEOUT_S
        )
    if not answer:
        raise TimeoutException(key)
    if not answer.get("exists", False):
        raise SecretNotFoundError(key)
    if not answer.get("access", False):
        raise NotebookAccessError(key)
    return str(answer.get("payload", ""))
