"""Running statistics live in objects with __slots__ and properties."""
# results: meter.total, meter.batches, state.mean, state.var, state.n, model

# %%
import torch
from torch import nn

class Meter:
    __slots__ = ("total", "batches", "__weakref__")

    def __init__(self):
        self.total = torch.zeros(3)
        self.batches = []

    def update(self, v):
        self.total += v
        self.batches.append(v)

    @property
    def mean(self):
        return self.total / max(1, len(self.batches))

class RunningNorm:
    __slots__ = "mean", "var", "n"

    def __init__(self, dim):
        self.mean, self.var, self.n = torch.zeros(dim), torch.ones(dim), 0

    def __call__(self, x):
        self.n += 1
        self.mean = self.mean + (x.mean(0) - self.mean) / self.n
        self.var = self.var + (x.var(0) - self.var) / self.n
        return (x - self.mean) / (self.var + 1e-5).sqrt()

torch.manual_seed(0)
X = torch.randn(90, 4) * 3 + 1
Y = X.abs()[:, :3]
model = nn.Linear(4, 3)
opt = torch.optim.SGD(model.parameters(), lr=0.02)
meter, state = Meter(), RunningNorm(4)

# %% under test
for epoch in range(3):
    for i in range(0, 90, 30):
        out = model(state(X[i:i + 30]))
        err = (out - Y[i:i + 30]) ** 2
        opt.zero_grad()
        err.mean().backward()
        opt.step()
        meter.update(err.detach().mean(0))
print(meter.mean, state.n)

# %%
print(meter.mean.numpy(), state(X).mean().item())
