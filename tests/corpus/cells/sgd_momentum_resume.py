"""Nesterov momentum buffers are older than the cell, and used after it."""
# results: model, optimizer, log

# %%
import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset
from sklearn.datasets import load_wine

wine = load_wine()
X = torch.tensor((wine.data - wine.data.mean(0)) / wine.data.std(0)).float()
y = torch.tensor(wine.target)
g = torch.Generator().manual_seed(0)
loader = DataLoader(TensorDataset(X, y), batch_size=32, shuffle=True, generator=g)

torch.manual_seed(0)
model = torch.nn.Linear(13, 3)
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, nesterov=True, weight_decay=1e-4)
log = []

def run_epoch():
    for xb, yb in loader:
        loss = F.cross_entropy(model(xb), yb)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    log.append(loss.item())

# %%
run_epoch()

# %% under test
for _ in range(3):
    run_epoch()

# %%
run_epoch()
print(log)
