"""Evaluation under no_grad every few steps, with cat of collected outputs."""
# results: model, optimizer, log, best

# %%
import torch
import torch.nn as nn
from torch.utils.data import TensorDataset, DataLoader
from sklearn.datasets import load_digits

d = load_digits()
X = torch.as_tensor(d.data, dtype=torch.float32) / 16
Y = torch.as_tensor(d.target)
torch.manual_seed(0)
train_loader = DataLoader(TensorDataset(X[:800], Y[:800]), 50, shuffle=True)
valid_loader = DataLoader(TensorDataset(X[800:1100], Y[800:1100]), 100)
model = nn.Sequential(nn.Linear(64, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 10))
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
criterion = nn.CrossEntropyLoss(label_smoothing=0.1)

# %%
def evaluate():
    model.eval()
    outs, ys = [], []
    with torch.no_grad():
        for xb, yb in valid_loader:
            outs.append(model(xb))
            ys.append(yb)
    outs, ys = torch.cat(outs), torch.cat(ys)
    model.train()
    return criterion(outs, ys), (outs.argmax(-1) == ys).float().mean()

# %% under test
log, best = [], torch.tensor(0.0)
step = 0
for epoch in range(2):
    for xb, yb in train_loader:
        loss = criterion(model(xb), yb)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        step += 1
        if step % 8 == 0:
            vl, va = evaluate()
            best = torch.maximum(best, va)
            log.append((step, loss.item(), vl.item(), va.item()))
            print(f"step {step:3d}  train {loss:.3f}  valid {vl:.3f}  acc {va:.3f}  best {best:.3f}")
