"""A secret of the platform: of Colab, of Kaggle, or an environment variable elsewhere."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from colabmagic.drive.account.tokens import LONGEST
from colabmagic.drive.errors import NoCredentialsError
from colabmagic.host.detect import detect
from colabmagic.host.facts import HostKind

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def keeper(env: Mapping[str, str], sysroot: Path) -> str:
    """Name who keeps secrets here.

    Parameters
    ----------
    env, sysroot
        The environment, and where the file system begins.
    """
    names = {HostKind.COLAB: "Colab", HostKind.KAGGLE: "Kaggle"}
    return names.get(detect(env, sysroot).kind, "the environment")


def read(name: str, env: Mapping[str, str], sysroot: Path) -> str | None:
    """Return what a secret holds; None where there is none of the name.

    Parameters
    ----------
    name
        Of the secret.
    env, sysroot
        The environment, and where the file system begins.

    Raises
    ------
    NoCredentialsError
        It is there, and this notebook does not get it.
    """
    kept_by = keeper(env, sysroot)
    if kept_by == "Kaggle":
        return _of_kaggle(name)
    if kept_by == "Colab":
        from colabmagic.drive.account import colab_account  # noqa: PLC0415 (on Colab)

        return colab_account.secret(name, sysroot=sysroot)
    return env.get(name)


def _of_kaggle(name: str) -> str | None:
    """Return a secret of Kaggle; None where there is none."""
    try:
        client = importlib.import_module("kaggle_secrets").UserSecretsClient()
        return str(client.get_secret(name))
    except Exception as error:  # noqa: BLE001 (its classes differ between images)
        reason = type(error).__name__
    if "NotFound" in reason or reason == "BackendError":
        return None
    # Not raised where it was caught: Kaggle's error may hold more than its name.
    raise NoCredentialsError(
        f"Kaggle does not give the secret {name[:LONGEST]!r}",
        seen=reason,
        hint="turn Internet on in the notebook's settings, and attach the secret to it "
        "under Add-ons > Secrets",
    )
