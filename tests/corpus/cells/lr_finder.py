"""A learning-rate finder: state saved by deepcopy, rates swept, state restored."""
# results: model, optimizer, lrs, losses, after

# %%
import copy
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
x = torch.randn(200, 10)
y = x[:, :3].prod(dim=1, keepdim=True)
loader = DataLoader(TensorDataset(x, y), batch_size=20, shuffle=True)
model = nn.Sequential(nn.Linear(10, 32), nn.Mish(), nn.Linear(32, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=1e-4, momentum=0.9)

def lr_find(model, optimizer, loader, start=1e-4, end=1.0, beta=0.9):
    init_state = copy.deepcopy(model.state_dict())
    opt_state = copy.deepcopy(optimizer.state_dict())
    factor = (end / start) ** (1 / (len(loader) - 1))
    lr, avg, best = start, 0.0, 0.0
    lrs, losses = [], []
    for i, (xb, yb) in enumerate(loader):
        for g in optimizer.param_groups:
            g["lr"] = lr
        loss = nn.functional.mse_loss(model(xb), yb)
        avg = beta * avg + (1 - beta) * loss.item()
        smoothed = avg / (1 - beta ** (i + 1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        lrs.append(lr); losses.append(smoothed)
        lr *= factor
    model.load_state_dict(init_state)
    optimizer.load_state_dict(opt_state)
    return lrs, losses

# %% under test
lrs, losses = lr_find(model, optimizer, loader)
best_lr = lrs[losses.index(min(losses))] / 10
for g in optimizer.param_groups:
    g["lr"] = best_lr
after = []
for xb, yb in loader:
    loss = nn.functional.mse_loss(model(xb), yb)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    after.append(loss.item())
best_lr
