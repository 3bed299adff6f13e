"""What the graph behind a computed tensor keeps for ``backward()``.

Saved values are read as they were packed. They are not unpacked: that may run hooks of
the user, and with checkpointing a whole forward pass.
"""

from __future__ import annotations

import contextlib
import weakref
from typing import TYPE_CHECKING, Any, Final

from colabmagic.memory.tensors import graph_of, is_tensor

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_NODES: Final = 50_000
_RAW: Final = "_raw_saved_"

# Weak: a class of the user may hold tensors in its attributes.
_names: weakref.WeakKeyDictionary[type, tuple[str, ...]] = weakref.WeakKeyDictionary()


class Graphs:
    """The graphs behind some tensors, each node visited once."""

    def __init__(self) -> None:
        self._nodes: dict[int, Any] = {}  # alive, so that each keeps its id

    def saved_by(self, tensor: Any) -> Iterator[Any]:  # noqa: ANN401 (a tensor)
        """Yield the tensors that a graph keeps and that were not met before.

        Parameters
        ----------
        tensor
            A tensor that may have a graph.
        """
        pending = [graph_of(tensor)]
        while pending and len(self._nodes) < MOST_NODES:
            node = pending.pop()
            if node is None or id(node) in self._nodes:
                continue
            self._nodes[id(node)] = node
            with contextlib.suppress(Exception):  # the graph was freed meanwhile
                yield from _saved_by_node(node)
            with contextlib.suppress(Exception):
                pending += [each for each, _ in node.next_functions]


def _saved_by_node(node: Any) -> Iterator[Any]:  # noqa: ANN401
    """Yield the tensors that one node keeps."""
    kind = type(node)
    if kind not in _names:
        _names[kind] = tuple(name for name in dir(kind) if name.startswith(_RAW))
    for name in _names[kind]:
        with contextlib.suppress(Exception):  # freed by backward()
            saved = getattr(node, name)
            for each in saved if type(saved) in {tuple, list} else (saved,):
                packed = getattr(each, "data", None)  # PyTorch 2.6 and later
                if is_tensor(packed):
                    yield packed
    if kind.__name__ == "AccumulateGrad":
        yield node.variable
