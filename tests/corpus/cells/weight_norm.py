"""Parametrised layers: weight_norm and spectral_norm, orthogonal initialisation."""
# results: net, losses

# %%
import torch
import torch.nn as nn
from torch.nn.utils.parametrizations import spectral_norm, weight_norm

torch.manual_seed(0)
net = nn.Sequential(
    weight_norm(nn.Linear(6, 12)), nn.ReLU(),
    spectral_norm(nn.Linear(12, 12)), nn.ReLU(),
    nn.Linear(12, 1),
)
nn.init.orthogonal_(net[4].weight)
nn.init.constant_(net[4].bias, 0.1)
x = torch.randn(80, 6)
y = x.norm(dim=1, keepdim=True)
opt = torch.optim.Adam(net.parameters(), lr=0.01)

# %% under test
losses = []
for step in range(15):
    loss = nn.functional.huber_loss(net(x), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
    losses.append(loss.item())
losses[-1]

# %%
net.eval()
print(torch.linalg.matrix_norm(net[2].weight, 2).item(), net[0].weight.shape)
