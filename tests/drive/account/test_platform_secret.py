"""Secrets of the platform: who keeps them here, and what they hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from colabmagic.drive import errors
from colabmagic.drive.account import platform_secret
from tests.drive.account.examples import KAGGLE, MARK, kaggle_with
from tests.drive.leaks import everything

if TYPE_CHECKING:
    from pathlib import Path


class BackendError(Exception):
    """As Kaggle's own, for a name that it does not know."""


def test_elsewhere_it_is_a_variable(tmp_path: Path) -> None:
    """One that is not set is none."""
    env = {"MINE": "x"}
    assert platform_secret.keeper(env, tmp_path) == "the environment"
    assert platform_secret.read("MINE", env, tmp_path) == "x"
    assert platform_secret.read("OTHER", env, tmp_path) is None


def test_of_kaggle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own, and never a variable of the name."""
    kaggle_with(monkeypatch, {"mine": "x"})
    env = {**KAGGLE, "other": "y"}
    assert platform_secret.keeper(env, tmp_path) == "Kaggle"
    assert platform_secret.read("mine", env, tmp_path) == "x"
    assert platform_secret.read("other", env, tmp_path) is None
    kaggle_with(monkeypatch, {}, BackendError(MARK))
    assert platform_secret.read("mine", env, tmp_path) is None


def test_kaggle_that_does_not_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name of a secret is cut, and nothing that Kaggle says is shown."""
    kaggle_with(monkeypatch, {}, ConnectionError(MARK))
    with pytest.raises(errors.NoCredentialsError, match="does not give") as caught:
        platform_secret.read("n" * 999, dict(KAGGLE), tmp_path)
    assert caught.value.seen == "ConnectionError"
    assert len(str(caught.value)) < 300
    assert MARK not in everything(caught.value)
