"""__getitem__ mixes stored tensors with torch.randn, torch.tensor and comparisons."""
# results: model, losses

# %%
import torch
from torch import nn
from torch.utils.data import Dataset, DataLoader

class NoisyPairs(Dataset):
    def __init__(self, n=128):
        self.base = torch.arange(n * 3, dtype=torch.float32).view(n, 3) / n
        self.shift = torch.tensor([0.1, 0.2, 0.3])
        self.weights = torch.ones(n)

    def __len__(self):
        return len(self.base)

    def __getitem__(self, i):
        x = self.base[i] + self.shift
        aug = x + 0.05 * torch.randn(3)
        if torch.rand(1) < 0.5:
            aug = aug.flip(0)
        onehot = torch.zeros(3)
        onehot[i % 3] = 1.0
        sample = torch.cat([aug, onehot, torch.tensor([float(i % 2)])])
        target = torch.tensor(x.sum())
        return sample, target.clone(), self.weights[i]

import warnings
warnings.filterwarnings("ignore")
torch.manual_seed(0)
train_ds = NoisyPairs()
loader = DataLoader(train_ds, batch_size=32, shuffle=True)
model = nn.Sequential(nn.Linear(7, 16), nn.ReLU(), nn.Linear(16, 1))
opt = torch.optim.Adam(model.parameters(), lr=0.02)

# %% under test
losses = []
for epoch in range(3):
    for x, t, w in loader:
        loss = (w * (model(x).squeeze(-1) - t) ** 2).mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
        losses.append(loss.item())
x0, t0, w0 = train_ds[3]
print(losses[-1], x0.shape, t0)
