"""Two cells in a row go to the device; an ordinary cell stands between them."""
# results: model, optimizer, loss_curve, between

# %%
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
X = torch.randn(100, 4)
y = X[:, :2].sum(1, keepdim=True)
dl = DataLoader(TensorDataset(X, y), batch_size=20, shuffle=True)
model = nn.Sequential(nn.Linear(4, 10), nn.ReLU(), nn.Linear(10, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
loss_curve = []

# %% under test
for epoch in range(2):
    for xb, yb in dl:
        optimizer.zero_grad()
        l = nn.MSELoss()(model(xb), yb)
        l.backward()
        optimizer.step()
        loss_curve.append(l.item())

# %%
with torch.no_grad():
    between = model(X).numpy().std()
    model[0].weight[0].mul_(0.5)
print(between)

# %% under test
for epoch in range(2):
    for xb, yb in dl:
        optimizer.zero_grad()
        l = nn.MSELoss()(model(xb), yb)
        l.backward()
        optimizer.step()
        loss_curve.append(l.item())
loss_curve[-1]
