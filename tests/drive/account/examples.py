"""Logins as they are kept; all that is secret in them bears a mark."""

from __future__ import annotations

import json
import sys
import types
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

MARK = "MARKER51e0"
KAGGLE = {
    "KAGGLE_KERNEL_RUN_TYPE": "Interactive",
    "KAGGLE_URL_BASE": "https://www.kaggle.com",
}


def user(name: str = "user", **more: object) -> dict[str, Any]:
    """Return what a file of a user's login holds."""
    return {
        "type": "authorized_user",
        "client_id": "id",
        "client_secret": f"{MARK}-secret",
        "refresh_token": f"{MARK}-{name}",
        **more,
    }


def written(path: Path, info: object) -> Path:
    """Return a file that holds this, for one user alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(info))
    path.chmod(0o600)
    return path


def account(private_key: str, **more: object) -> dict[str, Any]:
    """Return what a service account's key holds."""
    return {
        "type": "service_account",
        "client_email": "robot@mine.iam.gserviceaccount.com",
        "private_key": private_key,
        "private_key_id": "1",
        "token_uri": "https://oauth2.googleapis.com/token",
        **more,
    }


class _NotFoundError(Exception):
    """As Kaggle's own."""


def kaggle_with(
    monkeypatch: pytest.MonkeyPatch,
    secrets: dict[str, str],
    broken: Exception | None = None,
) -> None:
    """Put Kaggle's module of secrets where it is imported."""

    class UserSecretsClient:
        def get_secret(self, label: str) -> str:
            if broken is not None:
                raise broken
            if label not in secrets:
                raise _NotFoundError(MARK)
            return secrets[label]

    module = types.ModuleType("kaggle_secrets")
    module.UserSecretsClient = UserSecretsClient  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "kaggle_secrets", module)
