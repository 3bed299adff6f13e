"""ReduceLROnPlateau watches a validation loss given as a tensor."""
# results: reg, optimizer, val_losses, lrs

# %%
import torch
from torch import nn, optim
from sklearn.datasets import load_diabetes
from sklearn.preprocessing import scale

X, y = load_diabetes(return_X_y=True)
X = torch.tensor(scale(X), dtype=torch.float)
y = torch.tensor(scale(y), dtype=torch.float).view(-1, 1)
Xtr, ytr, Xva, yva = X[:350], y[:350], X[350:], y[350:]

torch.manual_seed(0)
reg = nn.Sequential(nn.Linear(10, 32), nn.ReLU(), nn.Linear(32, 1))
optimizer = optim.RMSprop(reg.parameters(), lr=0.01)
sched = optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=2)
mse = nn.MSELoss()

# %% under test
val_losses, lrs = [], []
for epoch in range(25):
    reg.train()
    optimizer.zero_grad()
    loss = mse(reg(Xtr), ytr)
    loss.backward()
    optimizer.step()

    reg.eval()
    with torch.no_grad():
        val_loss = mse(reg(Xva), yva)
    sched.step(val_loss)
    val_losses.append(val_loss)
    lrs.append(optimizer.param_groups[0]["lr"])

print(min(val_losses), lrs[-1])

# %%
best = torch.tensor(val_losses).argmin().item()
print("best epoch", best, val_losses[best].item())
