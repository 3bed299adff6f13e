"""What exceptions hold, and what lets go of it."""

from __future__ import annotations

import gc
import sys
import traceback
import types
import weakref
from typing import TYPE_CHECKING, Any, NoReturn

from colabmagic.memory import exceptions, scrub
from colabmagic.memory.walk import exceptions_in

if TYPE_CHECKING:
    import pytest


class Big:
    """Stands for a tensor."""


class Hostile(Exception):  # noqa: N818 (no error of ours)
    """Its members are properties that must not run."""

    @property
    def __cause__(self) -> NoReturn:  # type: ignore[override]
        raise AssertionError

    @property
    def __traceback__(self) -> NoReturn:  # type: ignore[override]
        raise AssertionError

    def __str__(self) -> NoReturn:
        raise AssertionError

    def __eq__(self, other: object) -> NoReturn:
        raise AssertionError

    __hash__ = None  # type: ignore[assignment]


def caught(function: Any) -> BaseException:  # noqa: ANN401
    """Return what a function raises."""
    try:
        function()
    except BaseException as error:  # noqa: BLE001
        return error
    raise AssertionError


def failing(refs: list[Any], kind: type[BaseException] = ValueError) -> None:
    """Raise with a big object in the frame."""
    held = Big()
    refs.append(weakref.ref(held))
    raise kind


def chained(refs: list[Any]) -> None:
    """Raise an error that came from another, and hides a third."""
    try:
        failing(refs)
    except ValueError as error:
        raise KeyError from error


def grouped(refs: list[Any]) -> None:
    """Raise a group within a group."""
    inner = ExceptionGroup("inner", [caught(lambda: failing(refs))])  # type: ignore[list-item]
    raise ExceptionGroup("outer", [inner, caught(lambda: failing(refs))])  # type: ignore[list-item]


def test_all_links_are_found() -> None:
    """Cause, context and groups, each once, also in a ring."""
    refs: list[Any] = []
    assert len(exceptions.links([caught(lambda: chained(refs))])) == 2
    assert len(exceptions.links([caught(lambda: grouped(refs))])) == 4
    first, second = ValueError(), KeyError()
    first.__context__, second.__cause__ = second, first
    assert len(exceptions.links([first, second, None, "text"])) == 2


def test_dropping_frees_all_links() -> None:
    """The exceptions live on, what their frames held is gone."""
    for make in (chained, grouped, failing):
        refs: list[Any] = []
        error = caught(lambda make=make, refs=refs: make(refs))  # type: ignore[misc]
        assert any(ref() is not None for ref in refs)
        exceptions.drop_tracebacks(exceptions.links([error]))
        gc.collect()
        assert not [ref for ref in refs if ref() is not None]


def test_a_kept_link_stays_whole() -> None:
    """What the user holds is left as it is."""
    refs: list[Any] = []
    saved = caught(lambda: failing(refs))

    def again() -> None:
        raise KeyError from saved

    error = caught(again)
    holder = {"errors": [saved]}
    scrub.strip([error], [holder])
    assert error.__traceback__ is None
    assert saved.__traceback__ is not None
    assert refs[0]() is not None


def test_cutting_leaves_the_lines_of_the_cell() -> None:
    """Frames of functions go, those of cells and modules stay."""
    refs: list[Any] = []
    names = {"failing": failing, "refs": refs, "__name__": "__main__"}
    cell = compile("x = 1\nfailing(refs)", "<cell>", "exec")
    error = caught(lambda: exec(cell, names))  # noqa: S102
    exceptions.cut_tracebacks([error])
    entries = traceback.extract_tb(error.__traceback__)
    assert [(each.filename, each.lineno) for each in entries] == [("<cell>", 2)]
    gc.collect()
    assert refs[0]() is None


def test_a_class_body_has_locals() -> None:
    """A failing class statement in a cell holds its names: its frame goes."""
    cell = compile("class A:\n    x = 1\n    1 / 0", "<cell>", "exec")
    error = caught(lambda: exec(cell, {}))  # noqa: S102
    flags = [exceptions.has_locals(frame) for frame in exceptions.frames(error)]
    assert flags == [True, True, False, True]  # caught, lambda, cell, class


def test_a_hostile_class_is_not_asked() -> None:
    """Only the C members of exceptions are read and written."""
    refs: list[Any] = []
    error = caught(lambda: failing(refs, Hostile))
    assert exceptions.is_exception(error)
    assert exceptions.traceback_of(error) is not None
    assert exceptions_in([[error]]) == {id(error): error}
    scrub.strip([error], [])
    gc.collect()
    assert refs[0]() is None


def test_a_suspended_generator_is_not_ended() -> None:
    """One that caught the error and waits goes on."""

    def batches() -> Any:  # noqa: ANN401
        try:
            yield 1
        except ValueError as error:
            yield error
        yield "still here"

    running = batches()
    next(running)
    error = running.throw(ValueError())
    scrub.strip([error], [])
    gc.collect()
    assert next(running) == "still here"


def test_exceptions_are_found_where_people_put_them() -> None:
    """Names, containers, their own objects; the links of these too."""
    refs: list[Any] = []
    errors = [caught(lambda: chained(refs)) for _ in range(3)]
    Log = type("Log", (), {"__module__": "__main__"})  # noqa: N806 (a class)
    log = Log()
    log.last = errors[1]
    found = exceptions_in([{"a": [errors[0]]}, log, (errors[2],), 7, "text"])
    assert set(found) == {id(link) for link in exceptions.links(errors)}


class Loop:
    """Stands for an iterator over a loader with workers."""


def test_frames_that_hold_a_loop_are_cleared(monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends with its last reference, not in the collector; what is kept stays."""
    name = "torch.utils.data.dataloader"
    module = types.SimpleNamespace(_MultiProcessingDataLoaderIter=Loop)
    monkeypatch.setitem(sys.modules, name, module)  # type: ignore[arg-type]
    refs: list[weakref.ref[Loop]] = []

    def looping(kept: list[Exception]) -> None:
        loop = Loop()
        refs.append(weakref.ref(loop))
        try:
            failing([])
        except ValueError as error:
            kept.append(error)
        raise KeyError

    def waiting() -> Any:  # noqa: ANN401
        loop = Loop()
        try:
            yield loop
        except KeyError as error:
            yield error
        yield loop

    gc.disable()
    try:
        error = caught(lambda: looping([]))
        frames = [*exceptions.frames(error)]  # as those who drew the error have them
        assert frames[-1].f_locals["loop"] is refs[0]()
        scrub.strip([error], [])
        assert refs[0]() is None
        kept: list[Exception] = []
        error = caught(lambda: looping(kept))
        scrub.strip([error], [kept])
        assert refs[1]() is not None
        running = waiting()
        loop = next(running)
        scrub.strip([running.throw(KeyError())], [])
        assert next(running) is loop
    finally:
        gc.enable()


def test_a_metaclass_that_forbids_comparing_is_not_asked() -> None:
    """Whether its objects are exceptions is seen by identity."""

    class Meta(type):
        def __eq__(cls, _: object) -> NoReturn:
            raise AssertionError

        __hash__ = type.__hash__

    odd = Meta("Odd", (), {})()
    assert not exceptions.is_exception(odd)
    assert exceptions_in([odd, [odd]]) == {}
