"""The test accelerator behaves like one as far as placement is concerned."""

from __future__ import annotations

import io
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from tests.fakes.accelerator import fake_accelerator

if TYPE_CHECKING:
    import types
    from pathlib import Path

KIB = 1024
ELEMENT_BYTES = 4


def test_two_devices(fake: types.ModuleType) -> None:
    """PyTorch sees two accelerators and moves tensors between them."""
    assert torch.accelerator.current_accelerator().type == "fake"
    assert torch.accelerator.device_count() == fake.device_count() == 2
    assert (torch.ones(2, device="fake:0").to("fake:1") + 1).device == torch.device(
        "fake:1"
    )


@pytest.mark.usefixtures("fake")
@pytest.mark.parametrize("other", ["cpu", "fake:1"])
def test_mixed_devices_raise(other: str) -> None:
    """Two devices in one call raise PyTorch's own sentence."""
    with pytest.raises(
        RuntimeError, match="Expected all tensors to be on the same device"
    ):
        torch.ones(2, device="fake:0") + torch.ones(2, device=other)


@pytest.mark.usefixtures("fake")
def test_cpu_scalar_may_join() -> None:
    """A zero-dimensional CPU tensor is allowed; the other way round is not."""
    assert (torch.ones(2, device="fake") + torch.tensor(1.0)).device.type == "fake"
    with pytest.raises(RuntimeError, match="same device"):
        torch.ones(2) + torch.tensor(1.0, device="fake")


@pytest.mark.usefixtures("fake")
def test_random_numbers() -> None:
    """A seed gives the CPU's numbers; a CPU generator is refused."""
    torch.manual_seed(0)
    expected = torch.randn(4)
    torch.manual_seed(0)
    assert torch.equal(torch.randn(4, device="fake:1").cpu(), expected)
    with pytest.raises(RuntimeError, match="device type for generator"):
        torch.randperm(4, device="fake", generator=torch.Generator())


def test_memory_limit(fake: types.ModuleType) -> None:
    """More than the limit raises OutOfMemoryError and changes nothing."""
    used = fake.stats(0)["current"]
    fake.set_limit(0, used + KIB)
    with pytest.raises(torch.OutOfMemoryError, match="fake out of memory"):
        torch.zeros(KIB, device="fake:0")
    assert fake.stats(0)["current"] == used
    torch.zeros(KIB, device="fake:1")


def test_memory_accounting(fake: types.ModuleType) -> None:
    """Current and peak memory follow tensors, also in torch.accelerator."""
    before = fake.stats(0)["current"]
    tensor = torch.zeros(KIB, device="fake:0")
    assert fake.stats(0)["current"] == before + KIB * ELEMENT_BYTES
    assert torch.accelerator.memory_allocated(0) == before + KIB * ELEMENT_BYTES
    del tensor
    assert fake.stats(0)["current"] == before
    assert fake.stats(0)["peak"] == before + KIB * ELEMENT_BYTES


def test_copies_are_counted(fake: types.ModuleType) -> None:
    """Each copy counts once, with its direction, size and manner."""
    there = torch.ones(KIB).to("fake:0", non_blocking=True)
    there.cpu()
    stats = fake.stats(0)
    assert (stats["h2d"], stats["d2h"], stats["non_blocking"]) == (1, 1, 1)
    assert stats["h2d_bytes"] == stats["d2h_bytes"] == KIB * ELEMENT_BYTES
    assert stats["syncs"] == 1


def test_kernels_add_no_copies(fake: types.ModuleType) -> None:
    """A training step copies nothing; reading the loss waits once."""
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4)).to("fake:0")
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    inputs = torch.randn(32, 8, device="fake:0")
    targets = torch.zeros(32, dtype=torch.long, device="fake:0")
    fake.reset_stats(0)
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(model(inputs), targets)
    loss.backward()
    optimizer.step()
    stats = fake.stats(0)
    assert (stats["h2d"], stats["d2h"], stats["syncs"]) == (0, 0, 0)
    loss.item()
    assert fake.stats(0)["syncs"] == 1


def test_streams_and_events(fake: types.ModuleType) -> None:
    """Streams, events and record_stream can be used; waiting is counted."""
    stream, event = torch.Stream(device="fake:0"), torch.Event(device="fake:0")
    with stream:
        tensor = torch.ones(3).to("fake:0", non_blocking=True)
    event.record(stream)
    stream.synchronize()
    tensor.record_stream(torch.accelerator.current_stream())
    assert event.query()
    assert fake.stats(0)["syncs"] == 1


@pytest.mark.usefixtures("fake")
@pytest.mark.parametrize("workers", [0, 1])
def test_pinned_batches(workers: int) -> None:
    """DataLoader(pin_memory=True) gives pinned batches."""
    data = TensorDataset(torch.ones(8, 2))
    (batch,) = next(iter(DataLoader(data, 4, pin_memory=True, num_workers=workers)))
    assert batch.is_pinned()


def train(device: str) -> list[torch.Tensor]:
    """Train a small net for 20 steps and return its parameters on the CPU."""
    torch.manual_seed(0)
    layers = [nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 4)]
    model = nn.Sequential(*layers).to(device)
    inputs, targets = (
        torch.randn(64, 8).to(device),
        torch.randint(0, 4, (64,)).to(device),
    )
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    for _ in range(20):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(inputs), targets).backward()
        optimizer.step()
    return [parameter.detach().cpu() for parameter in model.parameters()]


@pytest.mark.usefixtures("fake")
@pytest.mark.parametrize("device", ["fake:0", "fake:1"])
def test_training_equals_cpu(device: str) -> None:
    """Training gives the CPU's weights, bit for bit."""
    pairs = zip(train("cpu"), train(device), strict=True)
    assert all(torch.equal(expected, actual) for expected, actual in pairs)


def convolve(device: str) -> list[torch.Tensor]:
    """Return output and gradients of a convolution with batch norm."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3)).to(device)
    inputs = torch.randn(16, 1, 6, 6).to(device).requires_grad_()
    output = model(inputs)
    (output * torch.arange(4.0).to(device)).sum().backward()
    gradients = [parameter.grad for parameter in model.parameters()]
    return [tensor.detach().cpu() for tensor in (output, inputs.grad, *gradients)]


@pytest.mark.usefixtures("fake")
def test_convolution() -> None:
    """A convolution gives the CPU's values and gradients within rounding."""
    torch.testing.assert_close(
        convolve("fake:1"), convolve("cpu"), atol=1e-4, rtol=1e-4
    )


@pytest.mark.usefixtures("fake")
@pytest.mark.parametrize("layer", [nn.LSTM, nn.GRU, nn.RNN])
def test_recurrent_layers(layer: type[nn.Module]) -> None:
    """Recurrent layers run and give the CPU's values and gradients."""
    torch.manual_seed(0)
    model = layer(4, 5, num_layers=2, bidirectional=True)
    inputs = torch.randn(7, 3, 4)
    expected, _ = model(inputs)
    expected.sum().backward()
    gradients = [parameter.grad for parameter in model.parameters()]
    twin = layer(4, 5, num_layers=2, bidirectional=True)
    twin.load_state_dict(model.state_dict())
    twin.to("fake:1")
    actual, _ = twin(inputs.to("fake:1"))
    actual.sum().backward()
    torch.testing.assert_close(actual.cpu(), expected)
    for gradient, parameter in zip(gradients, twin.parameters(), strict=True):
        torch.testing.assert_close(parameter.grad.cpu(), gradient)


@pytest.mark.usefixtures("fake")
def test_packed_sequence() -> None:
    """An LSTM over a packed sequence runs, also without gradients."""
    lstm = nn.LSTM(2, 3).to("fake")
    lengths = torch.tensor([4, 2])
    packed = nn.utils.rnn.pack_padded_sequence(
        torch.ones(4, 2, 2, device="fake"), lengths
    )
    assert lstm(packed)[0].data.shape == (6, 3)
    with torch.inference_mode():
        assert lstm(packed)[0].data.device.type == "fake"


@pytest.mark.usefixtures("fake")
def test_attention_and_indexing() -> None:
    """Attention, embeddings and CPU indices work as on a GPU."""
    sequence = torch.ones(2, 1, 4, device="fake")
    assert nn.MultiheadAttention(4, 2).to("fake")(*[sequence] * 3)[0].shape == (2, 1, 4)
    assert nn.Embedding(4, 2).to("fake")(torch.tensor([1, 2], device="fake")).shape == (
        2,
        2,
    )
    assert torch.arange(4, device="fake")[torch.tensor([1, 2])].tolist() == [1, 2]


@pytest.mark.usefixtures("fake")
def test_save_and_load() -> None:
    """A checkpoint remembers the device and can be mapped to another."""
    buffer = io.BytesIO()
    torch.save(nn.Linear(2, 2).to("fake:1").state_dict(), buffer)
    buffer.seek(0)
    assert torch.load(buffer)["weight"].device == torch.device("fake:1")
    buffer.seek(0)
    assert torch.load(buffer, map_location="cpu")["weight"].device.type == "cpu"


@pytest.mark.usefixtures("fake")
def test_batch_norm_statistics() -> None:
    """Running statistics are updated on the device, with the CPU's values."""
    torch.manual_seed(0)
    data = torch.randn(16, 3, 5, 5)
    here, there = nn.BatchNorm2d(3), nn.BatchNorm2d(3).to("fake:1")
    for _ in range(3):
        here(data)
        there(data.to("fake:1"))
    assert torch.equal(here.running_mean, there.running_mean.cpu())
    assert torch.equal(here.running_var, there.running_var.cpu())
    assert int(there.num_batches_tracked) == 3
    here.eval()
    there.eval()
    assert torch.equal(here(data), there(data.to("fake:1")).cpu())


def test_devices_draw_from_their_own_generators(fake: types.ModuleType) -> None:
    """A draw on the device leaves the CPU's stream alone, dropout included."""
    torch.manual_seed(0)
    before = torch.get_rng_state()
    torch.rand(4, device="fake:1")
    nn.functional.dropout(torch.ones(8, device="fake:1"))
    assert torch.equal(torch.get_rng_state(), before)
    other = torch.rand(4, device="fake:0").cpu()
    assert torch.equal(other, torch.rand(4))
    fake.set_shared_rng(True)
    torch.rand(4, device="fake:1")
    assert not torch.equal(torch.get_rng_state(), before)


def test_shared_random_numbers_make_dropout_equal(fake: types.ModuleType) -> None:
    """With one stream for all, dropout drops what it drops on the CPU."""
    ones = torch.ones(64)
    torch.manual_seed(0)
    expected = nn.functional.dropout(ones, 0.3)
    torch.manual_seed(0)
    fake.set_shared_rng(True)
    assert torch.equal(nn.functional.dropout(ones.to("fake:1"), 0.3).cpu(), expected)


def test_operators_are_counted_by_device_and_name(fake: types.ModuleType) -> None:
    """Each device counts its own operators."""
    square = torch.ones(3, 3, device="fake:1")
    fake.reset_stats(1)
    square @ square
    assert fake.op_counts(1) == {"aten::mm": 1}
    assert (fake.stats(1)["ops"], fake.stats(0)["ops"]) == (1, 0)


def test_a_chosen_allocation_fails(fake: types.ModuleType) -> None:
    """Exactly the allocation that was named runs out of memory."""
    fake.fail_allocation(1, 1)
    torch.zeros(4, device="fake:1")
    with pytest.raises(torch.OutOfMemoryError, match="fake out of memory"):
        torch.zeros(4, device="fake:1")
    torch.zeros(4, device="fake:1")


def test_a_lost_device_answers_nothing(fake: types.ModuleType) -> None:
    """Copies, operators and allocations fail; the other device works."""
    tensor = torch.ones(4, device="fake:1")
    fake.set_lost(1, lost=True)
    for use in (tensor.cpu, tensor.sum, lambda: torch.empty(4, device="fake:1")):
        with pytest.raises(RuntimeError, match="device lost"):
            use()
    assert torch.ones(4, device="fake:0").sum().item() == 4
    fake.set_lost(1, lost=False)
    assert tensor.sum().item() == 4


@pytest.mark.usefixtures("fake")
def test_a_fresh_process_registers_it_from_the_cache() -> None:
    """The lines for a kernel work in a process that knows nothing."""
    code = (
        fake_accelerator.kernel_code()
        + "import torch; print(torch.ones(2).to('fake:1').device)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert result.stdout.strip() == "fake:1"


def test_a_missing_compiler_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a compiler or an earlier build, the reason says what to install."""
    monkeypatch.setenv("FAKE_ACCELERATOR_BUILD", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    assert any("g++" in tool for tool in fake_accelerator.missing_tools())


@pytest.mark.usefixtures("fake")
@pytest.mark.parametrize("loss", [nn.MSELoss, nn.SmoothL1Loss])
def test_losses_equal_the_cpu(loss: type[nn.Module]) -> None:
    """Losses with a path of their own give the CPU's bits and refuse mixed devices."""
    torch.manual_seed(0)
    here, target = torch.randn(4, 3), torch.randn(4, 3)
    there = here.to("fake:1").requires_grad_()
    result = loss()(there, target.to("fake:1"))
    result.backward()
    assert torch.equal(result.detach().cpu(), loss()(here, target))
    with pytest.raises(RuntimeError, match="same device"):
        loss()(there, target)


@pytest.mark.usefixtures("fake")
def test_set_changes_the_memory_and_copies_nothing() -> None:
    """A tensor that is set to another one shares its memory; the old memory stays."""
    old = torch.zeros(4, device="fake:1")
    tensor, new = old.detach(), torch.ones(3, device="fake:1")
    tensor.set_(new)
    assert tensor.data_ptr() == new.data_ptr()
    assert old.eq(0).all()
    tensor.set_()
    assert tensor.shape == (0,)
