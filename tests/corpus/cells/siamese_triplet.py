"""Triplet loss with a sampler of anchors, positives and negatives; cdist evaluation."""
# results: embed, losses, nearest

# %%
import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import Dataset, DataLoader
from sklearn.datasets import load_iris

class Triplets(Dataset):
    def __init__(self, X, y):
        self.X = X
        self.by_class = {c: np.where(y == c)[0] for c in np.unique(y)}
        self.y = y
        self.rng = np.random.RandomState(0)

    def __len__(self):
        return len(self.X)

    def __getitem__(self, i):
        pos = self.rng.choice(self.by_class[self.y[i]])
        neg_class = self.rng.choice([c for c in self.by_class if c != self.y[i]])
        neg = self.rng.choice(self.by_class[neg_class])
        return tuple(torch.tensor(self.X[j], dtype=torch.float32) for j in (i, pos, neg))

X, y = load_iris(return_X_y=True)
torch.manual_seed(0)
embed = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 2))
criterion = nn.TripletMarginLoss(margin=1.0)
optimizer = torch.optim.Adam(embed.parameters(), lr=0.01)
loader = DataLoader(Triplets(X, y), batch_size=30, shuffle=True)

# %% under test
losses = []
for epoch in range(3):
    for anchor, positive, negative in loader:
        loss = criterion(embed(anchor), embed(positive), embed(negative))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
with torch.no_grad():
    z = nn.functional.normalize(embed(torch.tensor(X).float()))
    dist = torch.cdist(z, z)
    dist.fill_diagonal_(float("inf"))
    nearest = dist.argmin(dim=1)
print((torch.tensor(y)[nearest] == torch.tensor(y)).float().mean())
