"""A GAN: two optimizers, noise from torch.randn, labels from ones and zeros."""
# results: G, D, g_losses, d_losses, samples

# %%
import torch
from torch import nn

torch.manual_seed(0)
real_data = torch.randn(256, 2) @ torch.tensor([[1.0, 0.6], [0.0, 0.4]]) + torch.tensor([2.0, -1.0])
latent_dim = 4
G = nn.Sequential(nn.Linear(latent_dim, 16), nn.ReLU(), nn.Linear(16, 2))
D = nn.Sequential(nn.Linear(2, 16), nn.LeakyReLU(0.2), nn.Linear(16, 1), nn.Sigmoid())
opt_G = torch.optim.Adam(G.parameters(), lr=2e-3, betas=(0.5, 0.999))
opt_D = torch.optim.Adam(D.parameters(), lr=2e-3, betas=(0.5, 0.999))
bce = nn.BCELoss()
fixed_noise = torch.randn(8, latent_dim)

# %% under test
g_losses, d_losses, samples = [], [], []
batch_size = 32
for epoch in range(3):
    perm = torch.randperm(real_data.size(0))
    for i in range(0, real_data.size(0), batch_size):
        real = real_data[perm[i:i + batch_size]]
        bs = real.size(0)
        # -- discriminator
        z = torch.randn(bs, latent_dim)
        fake = G(z)
        d_loss = bce(D(real), torch.ones(bs, 1)) + bce(D(fake.detach()), torch.zeros(bs, 1))
        opt_D.zero_grad()
        d_loss.backward()
        opt_D.step()
        # -- generator
        g_loss = bce(D(fake), torch.ones(bs, 1))
        opt_G.zero_grad()
        g_loss.backward()
        opt_G.step()
        g_losses.append(g_loss.item())
        d_losses.append(d_loss.item())
    with torch.no_grad():
        samples.append(G(fixed_noise))
print(g_losses[-1], d_losses[-1])

# %%
import numpy as np
print(np.stack([s.numpy() for s in samples]).mean(axis=1))
