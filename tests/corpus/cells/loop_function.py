"""The loop is a function of an earlier cell; the cell only calls it."""
# results: net, history

# %%
import torch
from torch import nn, optim
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(1)
x = torch.randn(512, 20)
w = torch.randn(20, 1)
y = x @ w + 0.1 * torch.randn(512, 1)
dl = DataLoader(TensorDataset(x[:400], y[:400]), batch_size=32, shuffle=True)
val_dl = DataLoader(TensorDataset(x[400:], y[400:]), batch_size=64)

# %%
def train_one_epoch(model, loader, opt, loss_fn):
    model.train()
    total = 0
    for xb, yb in loader:
        opt.zero_grad()
        out = model(xb)
        loss = loss_fn(out, yb)
        loss.backward()
        opt.step()
        total += loss.item() * xb.size(0)
    return total / len(loader.dataset)


@torch.no_grad()
def evaluate(model, loader, loss_fn):
    model.eval()
    total = 0
    for xb, yb in loader:
        total += loss_fn(model(xb), yb).item() * xb.size(0)
    return total / len(loader.dataset)


def fit(model, train_loader, val_loader, epochs=5, lr=1e-2):
    opt = optim.Adam(model.parameters(), lr=lr)
    loss_fn = nn.MSELoss()
    history = {"train": [], "val": []}
    for epoch in range(epochs):
        history["train"].append(train_one_epoch(model, train_loader, opt, loss_fn))
        history["val"].append(evaluate(model, val_loader, loss_fn))
        print(f"[{epoch + 1}/{epochs}] train {history['train'][-1]:.4f} val {history['val'][-1]:.4f}")
    return history

# %%
net = nn.Sequential(nn.Linear(20, 32), nn.Tanh(), nn.Linear(32, 1))

# %% under test
history = fit(net, dl, val_dl, epochs=4)
