"""Tests for `colabmagic.setup.running`."""

from __future__ import annotations

from dataclasses import replace

import pytest

from colabmagic.errors import NotSupportedError, interrupted
from colabmagic.setup.running import Done, Part, Runner, one_line, typed
from colabmagic.setup.wishes import PARTS, Wish, Wishes, read_table

ALL: dict[str, object] = {
    "require": "t4", "gpu": True, "cuda": "12.4", "drive": True, "cd": "MyDrive/a b",
    "train": True, "keepalive": "4h",
}  # fmt: skip


class World:
    """Parts that note what they are asked, and do as they are told."""

    def __init__(self, **behaviour: object) -> None:
        self.behaviour = behaviour
        self.calls: list[tuple[str, str]] = []
        self.told: list[str] = []
        self.given_up: list[str] = []

    def part(self, name: str) -> Part:
        """Return one of them."""

        def act(value: str) -> Done:
            self.calls.append((name, value))
            how = self.behaviour.get(name, Done(what=f"{name} is well"))
            if isinstance(how, BaseException):
                raise how
            assert isinstance(how, Done)
            return how

        def needs(_: str) -> str | None:
            return "drive" if name == "cd" else None

        return Part(doing=f"doing {name}", act=act, alone=f"%{name}", needs=needs)

    def runner(self, wishes: Wishes, **more: object) -> Runner:
        """Return what runs them."""
        return Runner(
            parts={name: self.part(name) for name in PARTS},
            wishes=wishes,
            begins=lambda doing, number, count: self.told.append(
                f"{number}/{count} {doing}"
            ),
            gave_up=self.given_up.append,
            **more,  # type: ignore[arg-type]  # of the test
        )


def states(runner: Runner) -> dict[str, str]:
    """Run; return the state of each part."""
    return {each.name: each.state for each in runner.run()}


def test_the_order_and_what_each_gets() -> None:
    """Require, GPU, CUDA, Drive, folder, device, keepalive; each is announced."""
    world = World()
    runner = world.runner(read_table(dict(reversed(ALL.items())), "a.toml"))
    assert list(states(runner)) == list(PARTS)
    assert [name for name, _ in world.calls] == list(PARTS)
    assert dict(world.calls)["cuda"] == "12.4"
    assert dict(world.calls)["drive"] == ""
    assert world.told[0] == "1/7 doing require"
    assert world.told[-1] == "7/7 doing keepalive"


def test_what_is_said_of_a_state() -> None:
    """New, already so, or only looked at."""
    world = World(
        gpu=Done(what="a", is_new=None),
        cuda=Done(what="b", is_new=False),
        train=Done(what="c", todo="type"),
    )
    runner = world.runner(
        read_table({"gpu": True, "cuda": True, "train": True}, "a.toml")
    )
    assert states(runner) == {"gpu": "ok", "cuda": "already", "train": "done"}
    assert runner.outcomes["train"].todo == "type"
    assert runner.outcomes["train"].source == "a.toml"


@pytest.mark.parametrize("name", PARTS)
def test_a_part_that_fails_hides_no_other(name: str) -> None:
    """Its three lines are kept; all others run, but for what depends on it."""
    error = NotSupportedError("it broke", seen="smoke", hint="%mend\nor a hammer")
    world = World(**{name: error})
    runner = world.runner(read_table(ALL, "a.toml"))
    found = states(runner)
    failed = runner.outcomes[name]
    assert (failed.state, failed.what, failed.seen) == ("failed", "it broke", "smoke")
    assert failed.todo == "%mend\nor a hammer"
    assert failed.error == "NotSupportedError"
    others = {key: value for key, value in found.items() if key != name}
    if name == "drive":
        assert others.pop("cd") == "left out"
        assert runner.outcomes["cd"].todo == "run this cell again"
    assert set(others.values()) == {"done"}
    assert runner.interrupt is None


def test_an_error_of_nobody() -> None:
    """What was not foreseen is told too, and how to see all of it."""
    world = World(cuda=ZeroDivisionError("by\nzero"))
    runner = world.runner(read_table(ALL, "a.toml"))
    runner.run()
    failed = runner.outcomes["cuda"]
    assert failed.seen == "ZeroDivisionError: by zero"
    assert failed.todo == "%cuda"
    assert runner.outcomes["keepalive"].ok


def test_a_wrong_value_fails_its_part() -> None:
    """The part is not tried with it."""
    world = World()
    runner = world.runner(read_table({"drive": 3, "train": True}, "a.toml"))
    assert states(runner) == {"drive": "failed", "train": "done"}
    assert [name for name, _ in world.calls] == ["train"]


def test_the_first_interrupt_gives_up_one_part() -> None:
    """The user is told at once; the others go on."""
    error = KeyboardInterrupt()
    interrupted(error, "stopped; nothing was changed")
    world = World(cuda=error)
    runner = world.runner(read_table(ALL, "a.toml"))
    found = states(runner)
    assert found.pop("cuda") == "given up"
    assert set(found.values()) == {"done"}
    assert world.given_up == ["cuda"]
    assert runner.outcomes["cuda"].what == "stopped; nothing was changed"
    assert runner.outcomes["cuda"].todo == "%colab_setup --cuda 12.4"
    assert runner.interrupt is None


def test_the_second_interrupt_ends_all() -> None:
    """What is left does not run, and is shown with what to type."""
    last = KeyboardInterrupt()
    world = World(cuda=KeyboardInterrupt(), train=last)
    runner = world.runner(read_table(ALL, "a.toml"))
    found = states(runner)
    assert found["train"] == "given up"
    assert found["keepalive"] == "not run"
    assert runner.interrupt is last
    assert world.given_up == ["cuda"]
    assert "keepalive" not in dict(world.calls)
    assert runner.outcomes["keepalive"].todo == "%colab_setup --keepalive 4h"


def test_what_drive_asks_for_is_done_when_it_is_there() -> None:
    """Also what would have come before; what the line says goes first."""
    world = World()
    late = read_table({"cuda": "12.4", "train": "cuda", "keepalive": "2h"}, "b.toml")
    line = Wishes(by_part={"drive": Wish(value=""), "keepalive": Wish(value=None)})
    runner = world.runner(line, later={"drive": lambda: late})
    assert list(states(runner)) == ["drive", "cuda", "train"]
    assert runner.wishes.sources == ("b.toml",)


def test_without_drive_its_file_is_not_read() -> None:
    """A failed mount asks for nothing more."""
    world = World(drive=NotSupportedError("no", hint="x"))
    runner = world.runner(
        Wishes(by_part={"drive": Wish(value="")}),
        later={"drive": lambda: read_table({"train": True}, "b.toml")},
    )
    assert states(runner) == {"drive": "failed"}


def test_nothing_is_nothing() -> None:
    """An empty setup runs no part."""
    world = World()
    assert states(world.runner(Wishes())) == {}
    assert world.told == []


class ShyError(Exception):
    """An error that cannot tell itself."""

    def __str__(self) -> str:
        """Fail."""
        raise RuntimeError("no")


@pytest.mark.parametrize("error", [SystemExit(3), GeneratorExit(), ShyError()])
def test_errors_of_the_odd_kind_hide_nothing(error: BaseException) -> None:
    """Whatever a library raises, the other parts run."""
    world = World(cuda=error)
    runner = world.runner(read_table(ALL, "a.toml"))
    found = states(runner)
    assert found.pop("cuda") == "failed"
    assert set(found.values()) == {"done"}
    assert runner.outcomes["cuda"].seen


def test_what_cannot_be_asked_for_fails_its_part() -> None:
    """Also the question what a part needs can fail."""
    world = World()
    runner = world.runner(read_table(ALL, "a.toml"))

    def needs(_: str) -> str:
        raise NotSupportedError("no folder", hint="x")

    parts = {**runner.parts, "cd": replace(runner.parts["cd"], needs=needs)}
    runner.parts = parts
    assert states(runner)["cd"] == "failed"
    assert runner.outcomes["keepalive"].ok


def test_an_error_shows_no_password_and_no_end() -> None:
    """Of an address the host remains; what nobody reads is cut."""
    error = OSError("GET https://me:s3cret@host.example/a?token=s3cret failed")
    assert one_line(error) == "OSError: GET https://host.example/… failed"
    world = World(cuda=NotSupportedError("x" * 999, hint="y"))
    runner = world.runner(read_table({"cuda": True}, "a.toml"))
    runner.run()
    assert runner.outcomes["cuda"].what == "x" * 300 + "…"


def test_an_interrupt_between_two_parts() -> None:
    """Nothing more runs, and nobody reads that all is ready."""
    world, stopped = World(), KeyboardInterrupt()

    def begins(doing: str, *_: int) -> None:
        if "train" in doing:
            raise stopped

    def gave_up(_: str) -> None:
        raise stopped

    runner = world.runner(read_table(ALL, "a.toml"))
    runner.begins, runner.gave_up = begins, gave_up
    found = states(runner)
    assert (found["cd"], found["keepalive"]) == ("done", "not run")
    assert runner.interrupt is stopped


def test_an_interrupt_while_the_file_on_drive_is_read() -> None:
    """Drive is there all the same."""
    world, stopped = World(), KeyboardInterrupt()

    def read() -> Wishes:
        raise stopped

    runner = world.runner(read_table(ALL, "a.toml"), later={"drive": read})
    found = states(runner)
    assert (found["drive"], found["cd"]) == ("done", "not run")
    assert runner.interrupt is stopped


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("MyDrive/project", "MyDrive/project"),
        ("a b", '"a b"'),
        ("-x", '"-x"'),
        ("16GiB,cc>=8.0", "16GiB,cc>=8.0"),
        ("{quit()}", None),
        ("a $HOME", None),
        ('a" b', None),
        ("a'b", None),
        ("a\nb", None),
    ],
)
def test_a_value_is_typed_as_it_is_or_not_at_all(
    value: str, expected: str | None
) -> None:
    """IPython runs what stands in braces, and a file may come from anywhere."""
    assert typed(value) == expected


def test_what_cannot_be_typed_is_not_offered() -> None:
    """Nor is what would be broken by its column."""
    for folder, words in (
        ("MyDrive/a b", '%colab_setup --cd "MyDrive/a b"'),
        ("MyDrive/{quit()}", "run this cell again"),
        ("MyDrive/" + "x" * 40, "run this cell again"),
    ):
        world = World(cd=KeyboardInterrupt())
        runner = world.runner(read_table({"cd": folder}, "a.toml"))
        runner.run()
        assert runner.outcomes["cd"].todo == words


def test_an_interrupt_before_the_first_part() -> None:
    """All that was asked for is told, and not done."""
    world, stopped = World(), KeyboardInterrupt()
    runner = world.runner(read_table(ALL, "a.toml"))
    runner.stop(stopped)
    assert {each.state for each in runner.outcomes.values()} == {"not run"}
    assert list(runner.outcomes) == list(PARTS)
    assert runner.interrupt is stopped
