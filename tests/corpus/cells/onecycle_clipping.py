"""OneCycleLR stepped per batch, gradients clipped, their norms recorded."""
# results: model, optimizer, lrs, norms

# %%
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
N, D = 384, 16
X = torch.randn(N, D)
Y = torch.sin(X.sum(dim=1, keepdim=True))
dl = DataLoader(TensorDataset(X, Y), batch_size=64, shuffle=True, drop_last=True)
EPOCHS = 4
model = nn.Sequential(nn.Linear(D, 64), nn.LayerNorm(64), nn.SiLU(), nn.Linear(64, 1))
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
scheduler = torch.optim.lr_scheduler.OneCycleLR(
    optimizer, max_lr=1e-2, epochs=EPOCHS, steps_per_epoch=len(dl))

# %% under test
lrs, norms = [], []
for epoch in range(EPOCHS):
    for xb, yb in dl:
        loss = (model(xb) - yb).pow(2).mean()
        optimizer.zero_grad()
        loss.backward()
        norm = nn.utils.clip_grad_norm_(model.parameters(), max_norm=0.5)
        norms.append(norm)                     # a tensor, as people do
        optimizer.step()
        scheduler.step()
        lrs.append(scheduler.get_last_lr()[0])
    print(f"epoch {epoch}: loss {loss:.4f} lr {lrs[-1]:.5f}")

# %%
print("largest norm", max(norms), "mean", torch.stack(norms).mean())
print(torch.stack(norms).numpy().round(2))
