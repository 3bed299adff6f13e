"""What is known of errors: pure rules ``Scene -> Draft | None``, one for each cause."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from colabmagic.explain.rules import (
    autograd,
    checkpoint,
    context,
    conversion,
    device,
    dtype,
    indexing,
    loader,
    loss,
    setup,
    shape,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from colabmagic.explain.model import Draft
    from colabmagic.explain.scene import Scene

    Rule = Callable[[Scene], Draft | None]

# The first that knows an error speaks. A worker's error quotes another one: that one is
# the cause, so the loader's own rules stand behind those of what a worker may run into.
RULES: Final[tuple[Rule, ...]] = (
    context.device_assert,
    context.illegal_access,
    context.no_kernel_image,
    context.cuda_fork,
    context.cudnn,
    context.cublas,
    setup.not_compiled,
    setup.no_driver,
    setup.invalid_ordinal,
    device.generator_device,
    device.cpu_lengths,
    device.index_device,
    device.device_mismatch,
    conversion.numpy_on_device,
    conversion.numpy_grad,
    conversion.from_numpy_type,
    dtype.target_dtype,
    loss.class_rows,
    loss.binary_sizes,
    loss.probabilities,
    dtype.dtype_mismatch,
    shape.target_shape,
    shape.matmul_shape,
    shape.missing_dimension,
    indexing.target_range,
    indexing.embedding_range,
    autograd.backward_twice,
    autograd.leaf_in_place,
    autograd.no_grad,
    checkpoint.cuda_checkpoint,
    checkpoint.weights_only,
    checkpoint.state_dict,
    loader.shared_memory,
    loader.open_files,
    loader.worker_killed,
    loader.worker_exited,
    loader.collate_sizes,
)


def first(scene: Scene) -> Draft | None:
    """Return what the first rule says that knows the error."""
    for rule in RULES:
        draft = rule(scene)
        if draft is not None:
            return draft
    return None
