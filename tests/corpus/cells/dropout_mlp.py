"""Dropout between layers; Monte-Carlo dropout for the spread of predictions."""
# results: model, losses, mc_mean, mc_std
# rng: shared

# %%
import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(0)
x = torch.unsqueeze(torch.linspace(-1, 1, 40), 1)
y = x + 0.3 * torch.normal(torch.zeros(40, 1), torch.ones(40, 1))

class MLP(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(1, 50)
        self.b = nn.Linear(50, 50)
        self.c = nn.Linear(50, 1)
    def forward(self, t):
        t = F.dropout(torch.relu(self.a(t)), p=0.5, training=self.training)
        t = F.dropout(torch.relu(self.b(t)), p=0.2, training=self.training)
        return self.c(t)

model = MLP()
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)

# %% under test
losses = []
for t in range(25):
    loss = F.mse_loss(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
model.train()
with torch.no_grad():
    samples = torch.stack([model(x) for _ in range(10)])
mc_mean, mc_std = samples.mean(0).squeeze(), samples.std(0).squeeze()
print(mc_std.mean())
