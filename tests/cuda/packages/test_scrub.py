"""No password of a URL is left in a text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from colabmagic.cuda.packages.scrub import has_secret, scrub

LETTERS = st.text("abcXYZ019-_.!$", min_size=4, max_size=12)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://me:pw@host/simple", "https://****@host/simple"),
        ("https://token@host/simple", "https://****@host/simple"),
        ("https://me:p@w@host/simple", "https://****@host/simple"),
        ("https://me:p'w\"x@host/simple", "https://****@host/simple"),
        ("git+https://tok:x-oauth@host/a.git@v1", "git+https://****@host/a.git@v1"),
        (
            "pip -i https://a:b@h/s -f https://c:d@h/t",
            ("pip -i https://****@h/s -f https://****@h/t"),
        ),
        ("https://h/x.whl?token=abc&a=1", "https://h/x.whl?token=****&a=1"),
        ("https://h/x.whl?X-Amz-Signature=abc", "https://h/x.whl?X-Amz-Signature=****"),
        ("line: 1 'proxy = me:p!w@host:3128'", "line: 1 'proxy = ****@host:3128'"),
        ("proxy=me:pw@[::1]:3128", "proxy=****@[::1]:3128"),
        ("git+ssh://git@host/a.git", "git+ssh://****@host/a.git"),
        ("ERROR: nothing@here", "ERROR: nothing@here"),
        ("name @ https://host/a@1.whl", "name @ https://host/a@1.whl"),
        ("user@example.org", "user@example.org"),
        ("torch==1.10.1+cu111", "torch==1.10.1+cu111"),
    ],
)
def test_passwords_are_hidden_and_nothing_else(text: str, shown: str) -> None:
    """Names, passwords and tokens go; hosts, paths and versions stay."""
    assert scrub(text) == shown
    assert has_secret(text) == (text != shown)
    assert scrub(shown) == shown


@given(LETTERS, LETTERS)
def test_any_login_is_hidden(user: str, password: str) -> None:
    """Whatever its letters are."""
    text = scrub(f"ERROR: https://{user}:{password}@host/simple/x/ 404")
    assert text == "ERROR: https://****@host/simple/x/ 404"
