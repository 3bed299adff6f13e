"""An exponential moving average kept as a deep copy made in the cell."""
# results: model, ema, scores

# %%
import copy
import torch
from torch import nn
from sklearn.datasets import make_moons

X, y = make_moons(300, noise=0.2, random_state=0)
X = torch.tensor(X, dtype=torch.float32)
y = torch.tensor(y)
torch.manual_seed(0)
model = nn.Sequential(nn.Linear(2, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 2))

# %% under test
ema = copy.deepcopy(model)
for p in ema.parameters():
    p.requires_grad_(False)

@torch.no_grad()
def update_ema(ema, model, decay=0.95):
    for pe, p in zip(ema.parameters(), model.parameters()):
        pe.mul_(decay).add_(p, alpha=1 - decay)
    for be, b in zip(ema.buffers(), model.buffers()):
        be.copy_(b)

optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
scores = []
for step in range(60):
    perm = torch.randperm(len(X))[:64]
    loss = nn.functional.cross_entropy(model(X[perm]), y[perm])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    update_ema(ema, model)
    if step % 20 == 19:
        ema.eval()
        scores.append((ema(X).argmax(1) == y).float().mean().item())
scores

# %%
ema.eval(); model.eval()
print((ema(X).argmax(1) == y).float().mean(), (model(X).argmax(1) == y).float().mean())
