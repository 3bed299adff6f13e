"""Run one operation of each kind with TensorFlow on each device."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

TensorFlow: TypeAlias = Any  # given by the caller
Tell: TypeAlias = Callable[..., None]

_SIZE = 64
_TOLERANCE = 0.01
_MATMULS = {
    "fp32": "float32",
    "fp16": "float16",
    "bf16": "bfloat16",
    "fp64": "float64",
}


def run(tf: TensorFlow, tell: Tell, options: dict[str, Any]) -> None:
    """Try all operations on all devices."""
    del options
    tell(event="ready", version=str(tf.__version__))
    physical = [one for one in tf.config.list_physical_devices() if _counts(one)]
    if all(one.device_type == "CPU" for one in physical):
        tell(event="no-accelerator", message="it lists no GPU")
    for one in physical:
        device = one.name.removeprefix("/physical_device:")
        details = tf.config.experimental.get_device_details(one)
        tell(event="device", device=device, name=str(details.get("device_name", "")))
        for name, operation in operations(tf).items():
            tell(event="begin", device=device, operation=name)
            try:
                with tf.device(f"/{device}"):
                    got, expected = operation()
                check(got, expected)
            except Exception as error:  # noqa: BLE001 (what we are here for)
                tell(event="failed", device=device, operation=name, error=error)
            else:
                tell(event="passed", device=device, operation=name)


def _counts(device: TensorFlow) -> bool:
    """Leave out what only TensorFlow's compiler lists."""
    return not str(device.device_type).startswith("XLA")


def operations(tf: TensorFlow) -> dict[str, Callable[[], tuple[float, float]]]:
    """Return what is tried, by its name."""

    def matmul(dtype: str) -> Callable[[], tuple[float, float]]:
        def multiply() -> tuple[float, float]:
            left = tf.ones((_SIZE, _SIZE), dtype)
            product = tf.cast(tf.matmul(left, left + left), "float64")
            return float(tf.reduce_mean(product)), 2.0 * _SIZE

        return multiply

    def integer() -> tuple[float, float]:
        numbers = tf.range(_SIZE, dtype="int64")
        return float(tf.reduce_sum(numbers + 1)), _SIZE * (_SIZE + 1) / 2

    def convolution() -> tuple[float, float]:
        result = tf.nn.conv2d(
            tf.ones((1, 16, 16, 3)), tf.ones((3, 3, 3, 4)), 1, "VALID"
        )
        return float(tf.reduce_mean(result)), 27.0

    def backward() -> tuple[float, float]:
        weight = tf.Variable(tf.ones((_SIZE, 1)))
        with tf.GradientTape() as tape:
            total = tf.reduce_sum(tf.matmul(tf.ones((2, _SIZE)), weight))
        return float(tf.reduce_mean(tape.gradient(total, weight))), 2.0

    return {
        **{f"{key} matmul": matmul(name) for key, name in _MATMULS.items()},
        "int64": integer,
        "convolution": convolution,
        "backward": backward,
    }


def check(got: float, expected: float) -> None:
    """Raise for a wrong result; convolutions may round, depending on the method."""
    if not abs(got - expected) <= _TOLERANCE * expected:
        message = f"the result is wrong: {got:g} instead of {expected:g}"
        raise ArithmeticError(message)
