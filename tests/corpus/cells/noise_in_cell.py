"""Random noise of several kinds is drawn in the loop."""
# results: model, losses, noise_seen

# %%
import torch
import torch.nn as nn

torch.manual_seed(0)
x = torch.linspace(0, 6.28, 128).view(-1, 1)
y = torch.sin(x)
model = nn.Sequential(nn.Linear(1, 32), nn.Tanh(), nn.Linear(32, 1))
opt = torch.optim.Adam(model.parameters(), lr=0.01)

# %% under test
losses, noise_seen = [], []
for it in range(30):
    jitter = torch.rand(x.shape[0], 1) * 0.1 - 0.05
    noise = torch.normal(0.0, 0.1, size=y.shape)
    flip = torch.rand_like(y) < 0.02
    target = torch.where(flip, -y, y) + noise
    pick = torch.randint(0, len(x), (64,))
    loss = ((model(x + jitter) - target)[pick] ** 2).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    losses.append(loss.item())
    if it % 10 == 0:
        noise_seen.append(noise.squeeze())
print(losses[-1])

# %%
print(torch.stack(noise_seen).std().numpy())
