"""A tiny diffusion model: schedules from linspace and cumprod, random times and noise."""
# results: net, betas, alphas_cumprod, losses, x_sampled

# %%
import math
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import make_swiss_roll

torch.manual_seed(0)
points = torch.tensor(make_swiss_roll(256, noise=0.3, random_state=0)[0][:, [0, 2]], dtype=torch.float32) / 10
T = 30
betas = torch.linspace(1e-4, 0.2, T)
alphas = 1.0 - betas
alphas_cumprod = torch.cumprod(alphas, dim=0)
sqrt_ac, sqrt_1mac = alphas_cumprod.sqrt(), (1 - alphas_cumprod).sqrt()

class SinusoidalTime(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.dim = dim
    def forward(self, t):
        half = self.dim // 2
        freqs = torch.exp(torch.arange(half) * -(math.log(1000) / (half - 1)))
        args = t[:, None] * freqs[None, :]
        return torch.cat((args.sin(), args.cos()), dim=-1)

class Denoiser(nn.Module):
    def __init__(self):
        super().__init__()
        self.time = nn.Sequential(SinusoidalTime(8), nn.Linear(8, 16), nn.SiLU())
        self.inp = nn.Linear(2, 16)
        self.out = nn.Sequential(nn.SiLU(), nn.Linear(16, 2))
    def forward(self, x, t):
        return self.out(self.inp(x) + self.time(t))

net = Denoiser()
optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)

def q_sample(x0, t, noise=None):
    if noise is None:
        noise = torch.randn_like(x0)
    return sqrt_ac[t][:, None] * x0 + sqrt_1mac[t][:, None] * noise

# %% under test
losses = []
for step in range(25):
    x0 = points[torch.randint(len(points), (64,))]
    t = torch.randint(0, T, (x0.shape[0],))
    noise = torch.randn_like(x0)
    xt = q_sample(x0, t, noise)
    loss = F.mse_loss(net(xt, t), noise)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())

@torch.no_grad()
def sample(n):
    x = torch.randn(n, 2)
    for i in reversed(range(T)):
        t = torch.full((n,), i, dtype=torch.long)
        z = torch.randn(n, 2) if i > 0 else 0
        x = (x - betas[i] / sqrt_1mac[i] * net(x, t)) / alphas[i].sqrt() + betas[i].sqrt() * z
    return x

x_sampled = sample(16)
print(losses[-1], x_sampled.std())
