"""Credentials that are no user's."""

from __future__ import annotations

import pytest

from colabmagic.drive.account import kinds
from colabmagic.drive.account.tokens import Hidden
from tests.drive.account.examples import account

SCOPES = ("https://www.googleapis.com/auth/drive.readonly",)


def test_a_service_account(private_key: str) -> None:
    """Its key is good for the scopes that are asked for."""
    made = kinds.service_account(Hidden(account(private_key)), SCOPES)
    assert made.service_account_email == "robot@mine.iam.gserviceaccount.com"
    assert tuple(made.scopes) == SCOPES


@pytest.mark.parametrize("entry", ["client_email", "private_key", "token_uri"])
@pytest.mark.parametrize("value", [None, "", 5])
def test_what_a_key_lacks(entry: str, value: object) -> None:
    """The first entry that is missing is named."""
    info = Hidden(account("x")) | {entry: value}
    with pytest.raises(KeyError, match=entry):
        kinds.service_account(Hidden(info), SCOPES)


def test_a_key_that_cannot_be_read() -> None:
    """It is told from one that lacks something; the error says where to get another."""
    assert kinds.service_account(Hidden(account("no key")), SCOPES) is None
    told = kinds.damaged("'k.json'")
    assert "'k.json'" in told.what
    assert "Add key > JSON" in told.hint


@pytest.mark.filterwarnings("error")
def test_kinds_of_google_auth() -> None:
    """They are left to it, and its warning of files from strangers is not shown."""
    made = kinds.other(
        Hidden(
            type="external_account",
            audience="//iam.googleapis.com/locations/global/workforcePools/p/providers/q",
            subject_token_type="urn:ietf:params:oauth:token-type:jwt",  # noqa: S106 (a kind)
            token_url="https://sts.googleapis.com/v1/token",  # noqa: S106 (an address)
            credential_source={"file": "/x"},
        ),
        SCOPES,
    )
    assert made.scopes == list(SCOPES)
    assert {"service_account", "authorized_user"}.isdisjoint(kinds.OTHER_KINDS)
