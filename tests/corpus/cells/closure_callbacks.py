"""Callbacks as closures and lambdas hold model, tensors and each other."""
# results: model, seen, snapshots, best_of()

# %%
import functools
import torch
from torch import nn

torch.manual_seed(0)
model = nn.Linear(3, 2)
data = [(torch.randn(8, 3), torch.randint(0, 2, (8,))) for _ in range(5)]
opt = torch.optim.SGD(model.parameters(), lr=0.2)
seen, snapshots = [], {}

def make_tracker():
    best = {"loss": torch.tensor(float("inf")), "w": None}
    def on_step(loss):
        if loss < best["loss"]:
            best["loss"] = loss.detach()
            best["w"] = model.weight.detach().clone()
    def get():
        return best
    return on_step, get

on_step, best_of = make_tracker()
callbacks = [on_step, lambda loss: seen.append(loss.detach()),
             functools.partial(lambda d, loss: d.__setitem__(len(d), model.bias.detach().clone()), snapshots)]

def fit(epochs, callbacks=()):
    for _ in range(epochs):
        for x, y in data:
            loss = nn.functional.cross_entropy(model(x), y)
            opt.zero_grad()
            loss.backward()
            opt.step()
            for cb in callbacks:
                cb(loss)

# %% under test
fit(3, callbacks)

# %%
print(best_of()["loss"], torch.stack(seen).numpy().mean(), len(snapshots))
assert torch.is_tensor(best_of()["w"]) and best_of()["w"].numpy().shape == (2, 3)
