"""Run one operation of each kind with PyTorch on each device, and tell what happens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

Torch: TypeAlias = Any  # PyTorch or a part of it, given by the caller
Tell: TypeAlias = Callable[..., None]
Operation: TypeAlias = Callable[[Torch, str], tuple[float, float]]  # got, expected

_SIZE = 64
_TOLERANCE = 0.01
_MATMULS = {
    "fp32": "float32",
    "fp16": "float16",
    "bf16": "bfloat16",
    "fp64": "float64",
    "complex64": "complex64",
}
_NOT_ON = {"mps": ("fp64 matmul",)}  # by design, so no failure


def run(torch: Torch, tell: Tell, options: dict[str, Any]) -> None:
    """Try all operations on all devices."""
    del options
    tell(event="ready", version=str(torch.__version__))
    accelerators = find_accelerators(torch)
    if not accelerators:
        tell(event="no-accelerator", error=_ask_for_cuda(torch))
    for device in ["cpu", *accelerators]:
        tell(event="device", device=device, name=_name(torch, device))
        for name, operation in operations().items():
            if name in _NOT_ON.get(device.partition(":")[0], ()):
                continue
            tell(event="begin", device=device, operation=name)
            try:
                got, expected = operation(torch, device)
                check(got, expected)
            except Exception as error:  # noqa: BLE001 (what we are here for)
                tell(event="failed", device=device, operation=name, error=error)
            else:
                tell(event="passed", device=device, operation=name)


def find_accelerators(torch: Torch) -> list[str]:
    """Return the accelerators that PyTorch says it can use."""
    found = []
    for kind in ("cuda", "xpu"):
        module = getattr(torch, kind, None)
        if module is not None and module.is_available():
            found += [f"{kind}:{index}" for index in range(module.device_count())]
    mps = getattr(torch.backends, "mps", None)
    if mps is not None and mps.is_available():
        found.append("mps")
    return found


def operations() -> dict[str, Operation]:
    """Return what is tried, by its name: dtypes first, then what a training needs."""
    return {
        **{f"{key} matmul": _matmul(name) for key, name in _MATMULS.items()},
        "int64": _integer("int64"),
        "int32": _integer("int32"),
        "uint8": _integer("uint8"),
        "bool mask": _mask,
        "convolution": _convolution,
        "backward": _backward,
        "copy home": _copy_home,
    }


def _matmul(dtype: str) -> Operation:
    """Multiply matrices whose product every dtype holds exactly."""

    def multiply(torch: Torch, device: str) -> tuple[float, float]:
        kind = getattr(torch, dtype)
        left = torch.ones(_SIZE, _SIZE, device=device, dtype=kind)
        product = (left @ (left + left)).cpu()
        real = product.real if dtype == "complex64" else product
        return float(real.double().mean()), 2.0 * _SIZE

    return multiply


def _integer(dtype: str) -> Operation:
    """Add and index; matrix products of integers do not exist on most devices."""

    def add(torch: Torch, device: str) -> tuple[float, float]:
        numbers = torch.arange(_SIZE, device=device, dtype=getattr(torch, dtype))
        picked = (numbers + 1)[numbers.long()]
        return float(picked.sum().item()), _SIZE * (_SIZE + 1) / 2

    return add


def _mask(torch: Torch, device: str) -> tuple[float, float]:
    """Choose with a mask."""
    numbers = torch.arange(_SIZE, device=device)
    return float(numbers[numbers >= _SIZE // 2].numel()), _SIZE / 2


def _convolution(torch: Torch, device: str) -> tuple[float, float]:
    """Convolve an image of ones."""
    image = torch.ones(1, 3, 16, 16, device=device)
    weight = torch.ones(4, 3, 3, 3, device=device)
    result = torch.nn.functional.conv2d(image, weight)
    return float(result.mean().item()), 27.0


def _backward(torch: Torch, device: str) -> tuple[float, float]:
    """Compute a gradient through a matrix product and a convolution."""
    weight = torch.ones(4, 3, 3, 3, device=device, requires_grad=True)
    image = torch.ones(1, 3, 8, 8, device=device)
    features = torch.nn.functional.conv2d(image, weight).flatten(1)
    (features @ features.detach().t()).sum().backward()
    # Each of 36 places adds 27, which the detached side holds, for each weight.
    return float(weight.grad.mean().item()), 36.0 * 27.0


def _copy_home(torch: Torch, device: str) -> tuple[float, float]:
    """Copy there and back."""
    numbers = torch.arange(1024, dtype=torch.int64)
    return float((numbers.to(device).cpu() == numbers).sum().item()), 1024.0


def _ask_for_cuda(torch: Torch) -> Exception | None:
    """Return what PyTorch says when it is asked for CUDA all the same."""
    try:
        torch.zeros(1, device="cuda")
    except Exception as error:  # noqa: BLE001 (its message is what we want)
        return error
    return None


def _name(torch: Torch, device: str) -> str:
    """Return the device's name, where it has one."""
    kind = device.partition(":")[0]
    if kind in {"cpu", "mps"}:
        return ""
    try:
        return str(getattr(torch, kind).get_device_name(device))
    except Exception:  # noqa: BLE001 (a name is not worth a failure)
        return ""


def check(got: float, expected: float) -> None:
    """Raise for a wrong result; convolutions may round, depending on the method."""
    if not abs(got - expected) <= _TOLERANCE * expected:
        message = f"the result is wrong: {got:g} instead of {expected:g}"
        raise ArithmeticError(message)
