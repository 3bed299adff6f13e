"""SimCLR: two noisy views, a similarity matrix, eye masks and arange labels."""
# results: encoder, head, losses

# %%
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader
from sklearn.datasets import load_digits

X = torch.tensor(load_digits().data[:256] / 16, dtype=torch.float32)
torch.manual_seed(0)
encoder = nn.Sequential(nn.Linear(64, 32), nn.ReLU())
head = nn.Linear(32, 8)
opt = torch.optim.Adam(list(encoder.parameters()) + list(head.parameters()), lr=3e-3)

def augment(x):
    drop = torch.bernoulli(torch.full(x.shape, 0.9))
    return x * drop + 0.05 * torch.randn_like(x)

def nt_xent(z1, z2, t=0.5):
    z = F.normalize(torch.cat([z1, z2]), dim=1)
    sim = z @ z.T / t
    n = z1.shape[0]
    sim = sim.masked_fill(torch.eye(2 * n, dtype=torch.bool), -1e9)
    targets = torch.cat([torch.arange(n, 2 * n), torch.arange(n)])
    return F.cross_entropy(sim, targets)

# %% under test
losses = []
for epoch in range(3):
    for x in DataLoader(X, batch_size=64, shuffle=True):
        loss = nt_xent(head(encoder(augment(x))), head(encoder(augment(x))))
        opt.zero_grad()
        loss.backward()
        opt.step()
        losses.append(loss.item())
losses[-1]
