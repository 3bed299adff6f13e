"""Build a small PyTorch extension of C++ and CUDA, and call it.

Started as ``python ext_child.py FOLDER``; the environment names the toolkit. It tells one
line of JSON: where the extension lies, and what it computed.
"""

from __future__ import annotations

import importlib
import json
import sys
from typing import Any

CPP = "torch::Tensor scaled(torch::Tensor input, double factor);"
CUDA = r"""
#include <torch/extension.h>
#include <ATen/cuda/CUDAContext.h>

template <typename Number>
__global__ void scale(const Number *in, Number *out, Number factor, long count) {
  const long i = blockIdx.x * (long)blockDim.x + threadIdx.x;
  if (i < count) out[i] = in[i] * factor;
}

torch::Tensor scaled(torch::Tensor input, double factor) {
  auto dense = input.contiguous();
  if (!dense.is_cuda()) return dense * factor;
  auto output = torch::empty_like(dense);
  const long count = dense.numel();
  AT_DISPATCH_FLOATING_TYPES(dense.scalar_type(), "scaled", [&] {
    scale<scalar_t><<<(count + 255) / 256, 256, 0, at::cuda::getCurrentCUDAStream()>>>(
        dense.data_ptr<scalar_t>(), output.data_ptr<scalar_t>(), (scalar_t)factor, count);
  });
  return output;
}
"""


def build(folder: str) -> dict[str, Any]:
    """Build, import and call the extension."""
    torch = importlib.import_module("torch")
    extension = importlib.import_module("torch.utils.cpp_extension")
    made = extension.load_inline(
        name="colabmagic_probe",
        cpp_sources=CPP,
        cuda_sources=CUDA,
        functions=["scaled"],
        build_directory=folder,
        with_cuda=True,
    )
    device = "cuda" if torch.cuda.is_available() else "cpu"
    given = torch.arange(1000, dtype=torch.float32, device=device)
    found = made.scaled(given, 3.0).sum().item()
    return {"device": device, "sum": found, "expected": 3.0 * sum(range(1000))}


if __name__ == "__main__":
    json.dump(build(sys.argv[1]), sys.stdout)
