"""Wrong arguments, help, Tab and settings, as a front end gets them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.kernel.support import Kernel

USAGE = "(usage: %%train_on [DEVICE] [options]; they are listed by %%train_on?)"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("cpu --kep", "there is no option --kep; did you mean --keep"),
        ("cpu --keeps", "there is no option --keeps; did you mean --keep"),
        ("cpu --s", "there is no option --s; did you mean --strict"),
        ("cpu -k", "there is no option -k; did you mean --keep"),
        ("cpu --zzz", "there is no option --zzz"),
        ("'cpu", "a quote is not closed; did you mean %%train_on 'cpu'"),
        ("cpu --rng gpu", "--rng takes auto, cpu or device, not 'gpu'; did you mean"),
        ("cpu --rng=devise", "not 'devise'; did you mean --rng device"),
        ("cpu --rng", "--rng needs a value: auto, cpu or device"),
        ("cpu cuda", "'cuda' is one word too many"),
    ],
)
def test_wrong_arguments_take_one_line(kernel: Kernel, line: str, message: str) -> None:
    """The line names the nearest valid form; no traceback; the cell fails unrun."""
    reply = kernel.run(f"%%train_on {line}\nran = True")
    assert reply.status == "error"
    assert reply.ename == "UsageError"
    (text,) = reply.stderr.strip().splitlines()
    assert text.startswith("UsageError: %%train_on: ")
    assert message in text
    assert text.endswith(USAGE)
    assert reply.errors == []
    assert kernel.value("'ran' in globals()") is False


def test_as_a_line_it_says_how_it_is(kernel: Kernel) -> None:
    """``%train_on`` alone tells that it is off, and what to type; without torch too."""
    (shown,) = kernel.run("%train_on").results
    assert shown.startswith("train_on is off")
    assert "%%train_on auto as its first line" in shown
    assert kernel.run("%train_on off").stdout.startswith("train_on: is off")


@pytest.mark.parametrize("question", ["%train_on?", "%%train_on?", "%train_on??"])
def test_help_shows_an_example(fresh_kernel: Kernel, question: str) -> None:
    """Help comes with options and an example, before the magic was ever used."""
    fresh_kernel.run("%load_ext colabmagic")
    request = fresh_kernel.help(question)
    assert "%%train_on auto" in request
    assert "--strict" in request
    assert fresh_kernel.value("'torch' in __import__('sys').modules") is False


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("%%train_on cu", {"cuda", "cuda:0"}),
        ("%%train_on --rng ", {"auto", "cpu", "device"}),
        ("%%train_on cuda --str", {"--strict"}),
        ("%train_on m", {"mps"}),
    ],
)
def test_tab(kernel: Kernel, typed: str, expected: set[str]) -> None:
    """Tab offers exactly what fits, in place of the word before the cursor."""
    matches, start, end = kernel.complete(typed)
    assert set(matches) == expected
    assert (start, end) == (typed.rindex(" ") + 1, len(typed))


def test_tab_offers_devices_and_options(kernel: Kernel) -> None:
    """With nothing typed yet, both are offered."""
    matches, _, _ = kernel.complete("%%train_on ")
    assert {"auto", "cpu", "cuda", "mps", "xpu", "--keep", "--strict"} <= set(matches)


def test_tab_after_a_colon(kernel: Kernel) -> None:
    """``cuda:`` becomes ``cuda:0``, whatever the front end takes for a word."""
    typed = "%%train_on cuda:"
    matches, start, _ = kernel.complete(typed)
    assert typed[:start] + matches[0] == "%%train_on cuda:0"


def test_tab_elsewhere_is_left_alone(kernel: Kernel) -> None:
    """Names of the user complete as ever, and nothing of ours comes in between."""
    kernel.run("some_long_name = 1")
    assert "some_long_name" in kernel.complete("some_lo")[0]
    assert "--keep" not in kernel.complete("print(")[0]


def test_tab_through_the_older_interface(kernel: Kernel) -> None:
    """``ip.complete`` gives the same."""
    code = "get_ipython().complete(None, '%%train_on --r', 14)[1]"
    assert kernel.value(code) == ["--rng"]


def test_tab_does_not_import_torch(fresh_kernel: Kernel) -> None:
    """Asking for devices costs no import of torch."""
    fresh_kernel.run("%load_ext colabmagic")
    assert "cuda" in fresh_kernel.complete("%%train_on ")[0]
    assert fresh_kernel.value("'torch' in __import__('sys').modules") is False


def test_config_lists_the_settings(kernel: Kernel) -> None:
    """``%config ColabMagic`` shows them with their meaning; a bad value is refused."""
    shown = kernel.run("%config ColabMagic").stdout
    for setting in ("device", "rng", "quiet"):
        assert f"ColabMagic.{setting}" in shown
    reply = kernel.run("%config ColabMagic.rng = 'dice'")
    assert "dice" in reply.shown
    assert "auto" in kernel.run("%config ColabMagic.rng").shown


def test_a_refused_setting_does_not_keep_the_extension_from_loading(
    kernel: Kernel,
) -> None:
    """IPython keeps it all the same, and gives it to whoever comes next."""
    kernel.run("%config ColabMagic.quiet = True\n%config ColabMagic.rng = 'dice'")
    reply = kernel.run("%unload_ext colabmagic\n%load_ext colabmagic")
    try:
        assert reply.status == "ok", reply.shown
        assert "a setting is left out: The 'rng' trait" in reply.stdout
        assert "auto" in kernel.run("%config ColabMagic.rng").shown
        assert "True" in kernel.run("%config ColabMagic.quiet").shown
    finally:
        kernel.run("get_ipython().config.pop('ColabMagic')\n%reload_ext colabmagic")
        assert "False" in kernel.run("%config ColabMagic.quiet").shown
