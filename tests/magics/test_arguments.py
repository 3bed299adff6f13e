"""Parsing of arguments: one line where they are wrong."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

import pytest
from IPython.core.error import UsageError
from IPython.core.magic_arguments import argument, magic_arguments

from colabmagic.magics._base import parse, usage_of

if TYPE_CHECKING:
    from collections.abc import Callable


@magic_arguments("%mount")
@argument("path", metavar="PATH", help="where")
@argument("--force", action="store_true", help="anyway")
@argument("--mode", choices=("read", "write"), default="read", help="how")
@argument("--wait", type=float, default=1.0, metavar="S", help="seconds")
def mount(line: str) -> None:
    """Mount something."""


def refused(line: str, magic: Callable[..., None] = mount) -> str:
    """Return the message of the refusal; it is of the class that IPython shows short."""
    with pytest.raises(UsageError) as caught:
        parse(magic, line)
    assert type(caught.value) is UsageError  # IPython tests for the very class
    assert caught.value.__cause__ is None
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_good_lines() -> None:
    """Options, values, defaults and quoted values are taken."""
    assert parse(mount, "here --force") == argparse.Namespace(
        path="here", force=True, mode="read", wait=1.0
    )
    assert parse(mount, "'My Drive/x y' --mode=write").path == "My Drive/x y"
    assert parse(mount, '"a b" --mode "write"').mode == "write"
    assert parse(mount, "a --wait=-2").wait == -2
    assert parse(mount, "a --wait -2.5").wait == -2.5
    assert parse(mount, r"C:\data\new").path == r"C:\data\new"


@pytest.mark.parametrize("option", ["--fo", "--forc", "--Force", "-force", "--forces"])
def test_an_abbreviated_or_misspelt_option(option: str) -> None:
    """It is refused with the option that was meant, never guessed."""
    message = refused(f"here {option}")
    assert message.startswith(
        f"%mount: there is no option {option}; did you mean --force"
    )


def test_an_option_that_is_like_none() -> None:
    """No other one is suggested for a likeness in the middle of the word."""
    assert "did you mean" not in refused("here --source")
    assert "did you mean" not in refused("here --dest x")


def test_unclosed_quotes() -> None:
    """The line is shown with the quote closed, of the kind that was opened."""
    assert "did you mean %mount 'My Drive'" in refused("'My Drive")
    assert 'did you mean %mount "My Drive"' in refused('"My Drive')


def test_a_comment_ends_the_line() -> None:
    """As in Python; inside quotes the sign is a character."""
    assert parse(mount, "here --force # it's not mine").path == "here"
    assert parse(mount, "here #--force").force is False
    assert parse(mount, "'a # b'").path == "a # b"
    assert parse(mount, "a#b").path == "a#b"
    assert "PATH" in refused("# here").partition("(usage")[0]


def test_a_positional_with_dashes_and_a_switch_with_a_value() -> None:
    """Both are answered with how it is written."""
    assert "write %mount PATH, without a dash" in refused("--path here")
    assert "--force takes no value; write --force alone" in refused("a --force=1")


def test_bad_values() -> None:
    """A bad value is answered with the good ones, or with what is wrong."""
    assert (
        "--mode takes read or write, not 'wrte'; did you mean --mode write"
        in refused("a --mode wrte")
    )
    assert "--mode needs a value: read or write" in refused("a --mode")
    assert "--wait takes a number, not 'soon'" in refused("a --wait soon")


def test_too_few_and_too_many_words() -> None:
    """What is missing, or too much, is named."""
    assert "PATH" in refused("").partition("(usage")[0]
    assert "'b' is one word too many" in refused("a b")


def test_every_refusal_ends_with_the_usage() -> None:
    """The whole valid form is on the same line."""
    usage = "%mount PATH [--force] [--mode read|write] [--wait S]"
    assert usage_of(mount) == usage
    assert refused("a b").endswith(f"(usage: {usage})")
    assert usage_of(mount, cell=True).startswith("%%mount PATH")


def test_many_options_are_not_all_shown() -> None:
    """A mistake is answered in one line, not in a page; help has them all."""
    from colabmagic.magics.gpu import GpuMagics

    usage = usage_of(GpuMagics.gpu_check)
    assert usage == "%gpu_check [options]; they are listed by %gpu_check?"
