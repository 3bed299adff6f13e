"""A WeightedRandomSampler from class counts, over an unbalanced set."""
# results: model, losses, seen

# %%
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset, WeightedRandomSampler

torch.manual_seed(0)
X = torch.cat([torch.randn(180, 2), torch.randn(20, 2) + 2])
y = torch.cat([torch.zeros(180), torch.ones(20)]).long()
class_counts = torch.bincount(y)
weights = 1.0 / class_counts.float()
sample_weights = weights[y]
sampler = WeightedRandomSampler(sample_weights, num_samples=len(y), replacement=True)
loader = DataLoader(TensorDataset(X, y), batch_size=25, sampler=sampler)
model = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 2))
opt = torch.optim.Adam(model.parameters(), lr=0.02)

# %% under test
losses = []
seen = torch.zeros(2, dtype=torch.long)
for epoch in range(3):
    for xb, yb in loader:
        seen += torch.bincount(yb, minlength=2)
        loss = nn.functional.cross_entropy(model(xb), yb)
        opt.zero_grad()
        loss.backward()
        opt.step()
        losses.append(loss.item())
print(seen, losses[-1])
