"""What a line holds may be secret: it is shown without, and never by accident."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace

import pytest
from packaging.requirements import Requirement

from colabmagic.cuda.packages.wish import NoRequirement, Option, Wish

SECRET = "s3cr3t"  # noqa: S105 (of this test)
URL = f"https://me:{SECRET}@host.example/x-1.0-py3-none-any.whl"
PLAIN = Wish(
    text="torch==2.5", name="torch", number=3, requirement=Requirement("torch")
)


def test_the_text_for_pip_keeps_the_password_and_all_else_hides_it() -> None:
    """Also where somebody prints the object, or a traceback does."""
    wish = Wish(
        text=f"x @ {URL}", name="x", number=1, requirement=Requirement(f"x @ {URL}")
    )
    assert SECRET in wish.text
    assert SECRET not in wish.shown
    assert SECRET not in repr(wish)
    assert wish.shown == "x @ https://****@host.example/x-1.0-py3-none-any.whl"


def test_an_option_hides_its_value_in_the_same_way() -> None:
    """Pip gets it whole."""
    option = Option(name="--extra-index-url", value=URL)
    assert option.text == f"--extra-index-url {URL}"
    assert SECRET not in option.shown + repr(option)
    assert (Option(name="--pre").text, Option(name="--pre").shown) == ("--pre",) * 2


def test_an_empty_value_is_not_no_value() -> None:
    """Pip is given what was written."""
    assert Option(name="--find-links", value="").text == "--find-links "


@pytest.mark.parametrize(
    ("wish", "is_pinned"),
    [
        (PLAIN, False),
        (replace(PLAIN, requirement=Requirement(f"torch @ {URL}")), True),
        (Wish(text="./torch", name=None, number=1), True),
        (Wish(text="-e .", name=None, number=1, editable=True), True),
    ],
)
def test_what_says_where_it_comes_from(wish: Wish, *, is_pinned: bool) -> None:
    """An address or a path: then no index is asked for it."""
    assert wish.is_pinned_to_file is is_pinned


def test_wishes_do_not_change() -> None:
    """They are passed on to a plan, which is kept."""
    with pytest.raises(FrozenInstanceError):
        PLAIN.text = "numpy"  # type: ignore[misc]


def test_why_a_line_is_none() -> None:
    """What was seen, and each line that can be typed."""
    refused = NoRequirement("a version is pinned by ==", "torch==2", "numpy")
    assert str(refused) == refused.seen == "a version is pinned by =="
    assert refused.fix == ("torch==2", "numpy")
    assert NoRequirement("why").fix == ()
