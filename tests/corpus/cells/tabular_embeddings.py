"""Categorical and continuous columns together, dropout and batch norm."""
# results: model, train_losses, val_preds
# rng: shared

# %%
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import Dataset, DataLoader
from sklearn.model_selection import train_test_split

rng = np.random.default_rng(7)
n = 240
cats = np.stack([rng.integers(0, 4, n), rng.integers(0, 7, n)], 1)
conts = rng.normal(size=(n, 3))
target = (cats[:, 0] * 0.5 + conts[:, 0] + rng.normal(0, .1, n)).astype("float32")
tr, va = train_test_split(np.arange(n), random_state=0)

class Tabular(Dataset):
    def __init__(self, idx):
        self.cats, self.conts, self.y = cats[idx].astype(np.int64), conts[idx].astype(np.float32), target[idx]
    def __len__(self):
        return len(self.y)
    def __getitem__(self, i):
        return self.cats[i], self.conts[i], self.y[i]          # numpy; default_collate converts

class TabModel(nn.Module):
    def __init__(self, szs=((4, 3), (7, 4)), n_cont=3, p=0.2):
        super().__init__()
        self.embeds = nn.ModuleList([nn.Embedding(c, s) for c, s in szs])
        self.drop = nn.Dropout(p)
        self.bn_cont = nn.BatchNorm1d(n_cont)
        self.layers = nn.Sequential(nn.Linear(7 + n_cont, 24), nn.ReLU(), nn.BatchNorm1d(24), nn.Dropout(p), nn.Linear(24, 1))
    def forward(self, xc, x):
        e = self.drop(torch.cat([emb(xc[:, i]) for i, emb in enumerate(self.embeds)], 1))
        return self.layers(torch.cat([e, self.bn_cont(x)], 1))

torch.manual_seed(0)
train_dl = DataLoader(Tabular(tr), batch_size=30, shuffle=True)
val_dl = DataLoader(Tabular(va), batch_size=60)
model = TabModel()
opt = torch.optim.Adam(model.parameters(), lr=1e-2)

# %% under test
train_losses, val_preds = [], []
for epoch in range(3):
    model.train()
    for xc, x, y in train_dl:
        loss = F.mse_loss(model(xc, x).squeeze(1), y)
        opt.zero_grad(); loss.backward(); opt.step()
        train_losses.append(loss.item())
model.eval()
with torch.no_grad():
    for xc, x, y in val_dl:
        val_preds.append(model(xc, x).squeeze(1))
val_preds = torch.cat(val_preds).numpy()
print(train_losses[-1], val_preds.std())
