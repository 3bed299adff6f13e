"""A step that is held back, and what must not change between two of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import torch

if TYPE_CHECKING:
    from torch.optim import Optimizer

_PLAIN: Final = (bool, int, float, complex, str, tuple)


def stand_in(optimizer: Optimizer) -> Optimizer:
    """Return an optimizer of the same class without weights, for a step without effect.

    Its attributes, options and state are copies: what the step counts or changes there
    is dropped.
    """
    made: Optimizer = object.__new__(type(optimizer))
    made.__dict__ |= vars(optimizer)
    groups = [group | {"params": []} for group in optimizer.param_groups]
    made.__dict__ |= {"param_groups": groups, "state": optimizer.state.copy()}
    return made


@dataclass(eq=False)
class OptionsOfSteps:
    """The options of optimizers when they last stepped."""

    _known: dict[int, tuple[Optimizer, list[dict[str, Any]]]] = field(
        default_factory=dict
    )

    def note(self, optimizer: Optimizer) -> None:
        """Remember how the options of an optimizer are."""
        self._known[id(optimizer)] = (optimizer, _options(optimizer))

    def changed(self, optimizer: Optimizer) -> bool:
        """Tell whether they are others than they were; remember them."""
        now = _options(optimizer)
        _, before = self._known.get(id(optimizer), (None, now))
        self.note(optimizer)
        return len(now) != len(before) or any(
            one.keys() != other.keys()
            or not all(_same(one[name], other[name]) for name in one)
            for one, other in zip(now, before, strict=True)
        )

    def clear(self) -> None:
        """Forget all: now they may change."""
        self._known.clear()


def _options(optimizer: Optimizer) -> list[dict[str, Any]]:
    return [
        {
            key: _value(each)
            for key, each in group.items()
            if key not in {"params", "param_names"}
        }
        for group in optimizer.param_groups
    ]


def _value(option: Any) -> Any:  # noqa: ANN401
    """Return an option; a tensor with the count of its changes."""
    version = getattr(option, "_version", None)
    return option if version is None else (option, version)


def _same(one: Any, other: Any) -> bool:  # noqa: ANN401
    """Tell whether an option is what it was; no code of the user's is asked."""
    if type(one) is tuple and type(other) is tuple:
        return len(one) == len(other) and all(map(_same, one, other))
    plain = type(one) in _PLAIN and type(other) in _PLAIN
    return one is other or (plain and bool(one == other))


def clip_none(parameters: Any, norm_type: float) -> torch.Tensor:  # noqa: ANN401
    """Return the norm of gradients, and clip none."""
    given = [parameters] if isinstance(parameters, torch.Tensor) else list(parameters)
    found = [each.grad for each in given if each.grad is not None]
    if not found:
        return torch.tensor(0.0)
    norms = [torch.linalg.vector_norm(each, norm_type) for each in found]
    whole: torch.Tensor = torch.linalg.vector_norm(torch.stack(norms), norm_type)
    return whole


def with_own(kind: type, name: str) -> list[Any]:
    """Return a class and the classes below it that define a method themselves."""
    found: dict[type, None] = {}
    pending = [kind]
    while pending:
        each = pending.pop()
        if each in found:
            continue
        found[each] = None
        pending += type.__subclasses__(each)
    return [each for each in found if name in vars(each)]
