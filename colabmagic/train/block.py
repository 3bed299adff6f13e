"""The same for scripts: a block, or a function, that runs on a device."""

from __future__ import annotations

import ast
import contextlib
import functools
import inspect
import linecache
import sys
import textwrap
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from colabmagic.errors import NestedCellError, NotSupportedError
from colabmagic.tracebacks import drop_wrappers
from colabmagic.train.names import mentioned_names
from colabmagic.train.options import TrainOptions

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType, FrameType, TracebackType
    from typing import Self

    from colabmagic.train.options import Rng
    from colabmagic.train.outcome import TrainOutcome
    from colabmagic.train.service import RunningCell

_Args = ParamSpec("_Args")
_Result = TypeVar("_Result")

_told: set[str] = set()  # what was said in full in this process


def on(  # noqa: PLR0913 (all by keyword)
    device: str = "auto",
    *,
    keep: bool = False,
    strict: bool = False,
    rng: Rng = "auto",
    quiet: bool = False,
    nan_guard: int | None = None,
) -> DeviceBlock:
    """Run a ``with`` block, or a decorated function, on a device.

    What the block mentions goes there, and everything comes home when it ends, as in a
    ``%%train_on`` cell.

    Parameters
    ----------
    device
        "auto" (the best one here), "cpu", "cuda", "cuda:1", "mps", "xpu".
    keep
        Leave models and tensors on the device.
    strict
        Raise if the device is absent, instead of running on the CPU.
    rng
        Where random numbers come from: "cpu", "device", or "auto".
    quiet
        Print no lines.
    nan_guard
        Stop at a loss that is nan or inf; looked at each so many steps.

    Returns
    -------
    DeviceBlock
        A context manager that is also a decorator.

    Examples
    --------
    ::

        from colabmagic import train

        with train.on("cuda"):
            for images, labels in loader:
                ...

        @train.on("cuda")
        def fit(model, loader, epochs): ...
    """
    options = TrainOptions(
        keep=keep, strict=strict, rng=rng, quiet=quiet, nan_guard=nan_guard
    )
    return DeviceBlock(device, options)


class DeviceBlock:
    """A block of code that runs on a device; made by `on`.

    Parameters
    ----------
    device
        As the user wrote it.
    options
        What else he asked for.

    Attributes
    ----------
    outcome
        What happened in the last block that ended; None before that.
    """

    def __init__(self, device: str, options: TrainOptions) -> None:
        self._device = device
        self._options = options
        self._open: list[tuple[RunningCell | None, dict[str, Any], FrameType]] = []
        self.outcome: TrainOutcome | None = None

    def __enter__(self) -> Self:
        """Move what the block mentions to the device.

        Raises
        ------
        BadDeviceError, DeviceUnavailableError, DeviceMemoryError, NestedCellError
            As in a cell; nothing was moved then.
        """
        frame = sys._getframe(1)  # noqa: SLF001 (whose names the block uses)
        while frame.f_globals is vars(contextlib) and frame.f_back is not None:
            frame = frame.f_back  # of `ExitStack.enter_context`
        namespace = frame.f_globals
        if frame.f_code.co_name != "<module>":
            namespace = {**frame.f_globals, **frame.f_locals}
        running = self._start(namespace, _names_of_block(frame))
        self._open.append((running, namespace, frame))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Bring everything home."""
        running, namespace, frame = self._open.pop()
        if running is None:  # inside another block, which brings everything home
            return
        try:
            if namespace is not frame.f_globals:  # what the block has bound since
                namespace.update(frame.f_locals)
            if error is not None:
                _look_at(error, namespace)
            self.outcome = running.finish(None, error)
        except KeyboardInterrupt as stop:
            # Perhaps it came before interrupts waited; a second call changes nothing.
            self.outcome = running.finish(None, error or stop)
            raise

    def __call__(self, function: Callable[_Args, _Result]) -> Callable[_Args, _Result]:
        """Return a function that runs on the device each time it is called.

        Raises
        ------
        NotSupportedError
            The function is a generator or a coroutine, which ends before its work does.
        """
        if inspect.isgeneratorfunction(function) or inspect.iscoroutinefunction(
            function
        ):
            raise NotSupportedError(
                f"train.on(...) above {function.__name__}, which stops in the middle",
                hint="put `with train.on(...):` inside it, around a part without yield "
                "or await",
            )
        plain, given = _unwrapped(function)
        names = _names_of_function(plain)
        signature = inspect.signature(function)

        @functools.wraps(function)
        def on_device(*args: _Args.args, **kwargs: _Args.kwargs) -> _Result:
            arguments = {**given, **signature.bind(*args, **kwargs).arguments}
            namespace = {**_outer_names(plain), **arguments}
            running = self._start(namespace, (*names, *arguments))
            if running is None:
                return function(*args, **kwargs)
            try:
                result = function(*args, **kwargs)
                self.outcome = running.finish(result)
            except BaseException as error:  # also Ctrl-C, before interrupts wait
                try:
                    _look_at(error, namespace)
                finally:
                    self.outcome = running.finish(None, error)
                raise
            return result

        return on_device

    def _start(
        self, namespace: dict[str, Any], names: tuple[str, ...]
    ) -> RunningCell | None:
        """Start a session over names; None where one on the same device is open."""
        from colabmagic.train import devices, service  # noqa: PLC0415 (brings in torch)

        outer = service.running()
        if outer is not None:
            wanted = self._device.strip() or "auto"
            if wanted != "auto":  # the best device is what the outer one has chosen
                wanted = str(devices.resolve(wanted, strict=True).device)
            if wanted not in {"auto", outer.device}:
                raise NestedCellError(
                    f"train.on({self._device!r}) inside code that runs on "
                    f"{outer.device}: one device at a time",
                    hint=f"train.on({outer.device!r}), or leave the inner one out",
                )
            outer.admit(namespace, names)
            return None
        return service.start(
            namespace=namespace,
            device=self._device,
            names=names,
            options=self._options,
            out=_print,
            told=_told,
        )


def _look_at(error: BaseException, namespace: dict[str, Any]) -> None:
    """Take our frames out of an error; if memory ran out, see who holds it."""
    from colabmagic.memory import oom  # noqa: PLC0415 (only after an error)

    drop_wrappers(error)
    oom.note(error, namespace)


def _unwrapped(function: Any) -> tuple[Any, dict[str, Any]]:  # noqa: ANN401 (any callable)
    """Return a function below partials and methods, and what these give to it."""
    given: dict[str, Any] = {}
    while True:
        if isinstance(function, functools.partial):
            bound = inspect.signature(function.func).bind_partial(
                *function.args, **function.keywords
            )
            given = {**bound.arguments, **given}
            function = function.func
        elif inspect.ismethod(function):
            owner, function = function.__self__, function.__func__
            given = {next(iter(inspect.signature(function).parameters)): owner, **given}
        elif inspect.isfunction(type(function).__call__):  # of an object
            function = function.__call__
        else:
            return function, given


def _names_of_block(frame: FrameType) -> tuple[str, ...]:
    """Return the names in the ``with`` block that a frame is about to enter."""
    lines = linecache.getlines(frame.f_code.co_filename, frame.f_globals)
    try:
        tree = ast.parse("".join(lines))
    except (SyntaxError, ValueError):
        return _names_of_code(frame.f_code)
    heads = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.With | ast.AsyncWith)
        and node.lineno <= frame.f_lineno <= node.body[0].lineno
    ]
    if not heads:  # ExitStack.enter_context, or no source
        if tree.body and frame.f_code.co_name == "<module>":  # a cell has more code
            return mentioned_names(tree)
        return _names_of_code(frame.f_code)
    inner = max(heads, key=lambda node: node.lineno)
    return mentioned_names(ast.Module(body=inner.body, type_ignores=[]))


def _names_of_function(function: Callable[..., Any]) -> tuple[str, ...]:
    """Return the names in a function."""
    try:
        return mentioned_names(ast.parse(textwrap.dedent(inspect.getsource(function))))
    except (OSError, TypeError, SyntaxError):
        code = getattr(inspect.unwrap(function), "__code__", None)
        return () if code is None else _names_of_code(code)


def _names_of_code(code: CodeType) -> tuple[str, ...]:
    """Return the names in compiled code, where there is no source."""
    return (*code.co_names, *code.co_varnames, *code.co_freevars, *code.co_cellvars)


def _outer_names(function: Callable[..., Any]) -> dict[str, Any]:
    """Return the globals of a function, and the variables of functions around it."""
    plain = inspect.unwrap(function)
    names: dict[str, Any] = dict(getattr(plain, "__globals__", {}))
    cells = getattr(plain, "__closure__", None) or ()
    code = getattr(plain, "__code__", None)
    for name, cell in zip(code.co_freevars if code else (), cells, strict=False):
        try:
            names[name] = cell.cell_contents
        except ValueError:  # not bound yet
            continue
    return names


def _print(text: str) -> None:
    """Print a line of ours beside the script's own output."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
