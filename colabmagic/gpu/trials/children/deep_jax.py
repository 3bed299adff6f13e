"""Run one operation of each kind with JAX on each device."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

Jax: TypeAlias = Any  # given by the caller
Tell: TypeAlias = Callable[..., None]

_SIZE = 64
_TOLERANCE = 0.01
_MATMULS = {"fp32": "float32", "fp16": "float16", "bf16": "bfloat16"}


def run(jax: Jax, tell: Tell, options: dict[str, Any]) -> None:
    """Try all operations on all devices."""
    del options
    tell(event="ready", version=str(jax.__version__))
    devices = list(jax.devices())
    if all(one.platform == "cpu" for one in devices):
        tell(event="no-accelerator", message="it lists no accelerator")
    for one in devices:
        device = f"{one.platform}:{one.id}"
        tell(event="device", device=device, name=str(one.device_kind))
        for name, operation in operations(jax).items():
            tell(event="begin", device=device, operation=name)
            try:
                with jax.default_device(one):
                    got, expected = operation()
                check(got, expected)
            except Exception as error:  # noqa: BLE001 (what we are here for)
                tell(event="failed", device=device, operation=name, error=error)
            else:
                tell(event="passed", device=device, operation=name)


def operations(jax: Jax) -> dict[str, Callable[[], tuple[float, float]]]:
    """Return what is tried, by its name."""
    numpy = jax.numpy

    def matmul(dtype: str) -> Callable[[], tuple[float, float]]:
        def multiply() -> tuple[float, float]:
            left = numpy.ones((_SIZE, _SIZE), dtype)
            return float(numpy.mean(left @ (left + left))), 2.0 * _SIZE

        return multiply

    def integer() -> tuple[float, float]:
        numbers = numpy.arange(_SIZE, dtype="int32")
        return float(numpy.sum(numbers + 1)), _SIZE * (_SIZE + 1) / 2

    def convolution() -> tuple[float, float]:
        image, weight = numpy.ones((1, 3, 16, 16)), numpy.ones((4, 3, 3, 3))
        result = jax.lax.conv(image, weight, (1, 1), "VALID")
        return float(numpy.mean(result)), 27.0

    def backward() -> tuple[float, float]:
        left, weight = numpy.ones((2, _SIZE)), numpy.ones((_SIZE, 1))
        gradient = jax.grad(lambda one: numpy.sum(left @ one))(weight)
        return float(numpy.mean(gradient)), 2.0

    return {
        **{f"{key} matmul": matmul(name) for key, name in _MATMULS.items()},
        "int32": integer,
        "convolution": convolution,
        "backward": backward,
    }


def check(got: float, expected: float) -> None:
    """Raise for a wrong result; convolutions may round, depending on the method."""
    if not abs(got - expected) <= _TOLERANCE * expected:
        message = f"the result is wrong: {got:g} instead of {expected:g}"
        raise ArithmeticError(message)
