"""What the libraries log of requests, without what is secret in it."""

from __future__ import annotations

import logging
import re
from typing import Final

_KEY: Final = re.compile(r"(upload_id=)[^&\s\"']+")
_LOGGERS: Final = (
    "google.auth.transport.requests", "urllib3.connection", "urllib3.connectionpool",
    "urllib3.util.retry",
)  # fmt: skip


class _WithoutKeys(logging.Filter):
    """Takes the key of an upload out of what the libraries log of addresses."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Change the record; it is logged in any case."""
        asked = getattr(record, "httpRequest", None)  # of google-auth, beside the text
        if isinstance(asked, dict):
            record.httpRequest = asked | {
                "url": _KEY.sub(r"\1…", str(asked.get("url", "")))
            }
        if isinstance(record.args, tuple):
            record.args = tuple(
                _KEY.sub(r"\1…", each) if isinstance(each, str) else each
                for each in record.args
            )
        return True


_WITHOUT_KEYS: Final = _WithoutKeys()


def keep_keys_out() -> None:
    """Take keys out of what the libraries log from now on; once is enough."""
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_WITHOUT_KEYS)
