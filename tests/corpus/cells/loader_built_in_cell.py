"""Data, DataLoader (with workers) and model are all made in the cell."""
# results: model, losses, seen

# %%
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

# %% under test
torch.manual_seed(8)
features = torch.randn(160, 6)
labels = (features.sum(dim=1) > 0).float()
ds = TensorDataset(features, labels)
loader = DataLoader(ds, batch_size=32, shuffle=True, num_workers=2)
plain = DataLoader(ds, batch_size=40)

model = nn.Linear(6, 1)
opt = torch.optim.SGD(model.parameters(), lr=0.5)
losses, seen = [], 0
for epoch in range(2):
    for f, l in loader:
        opt.zero_grad()
        loss = nn.functional.binary_cross_entropy_with_logits(model(f)[:, 0], l)
        loss.backward()
        opt.step()
        losses.append(loss.item())
        seen += len(f)
hits = sum(((model(f)[:, 0] > 0) == (l > 0)).sum() for f, l in plain)
print(hits / len(ds))

# %%
x0, y0 = ds[0]
print(x0.numpy(), float(model(x0)))
