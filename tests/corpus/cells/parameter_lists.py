"""ParameterList, ModuleList and tensors kept in plain Python lists of the module."""
# results: moe, losses, usage

# %%
import torch
import torch.nn as nn

class MoE(nn.Module):
    def __init__(self, n=3, d=5):
        super().__init__()
        self.experts = nn.ModuleList([nn.Linear(d, d) for _ in range(n)])
        self.scales = nn.ParameterList([nn.Parameter(torch.ones(d) * (i + 1)) for i in range(n)])
        self.gate = nn.Linear(d, n)
        self.usage = [torch.zeros(1) for _ in range(n)]      # not a buffer
        self.prior = torch.full((n,), 1.0 / n)               # neither

    def forward(self, x):
        g = torch.softmax(self.gate(x), dim=-1)
        for i, u in enumerate(self.usage):
            self.usage[i] = u + g[:, i].sum().detach()
        y = sum(g[:, i:i + 1] * e(x) * s for i, (e, s) in enumerate(zip(self.experts, self.scales)))
        balance = ((g.mean(0) - self.prior) ** 2).sum()
        return y, balance

torch.manual_seed(0)
moe = MoE()
x = torch.randn(64, 5)
target = x.flip(1)
opt = torch.optim.Adam(moe.parameters(), lr=0.02)

# %% under test
losses = []
for i in range(20):
    y, balance = moe(x)
    loss = nn.functional.mse_loss(y, target) + 0.1 * balance
    opt.zero_grad()
    loss.backward()
    opt.step()
    losses.append(loss.item())
usage = torch.cat(moe.usage) / sum(moe.usage)
print(usage)

# %%
print([u.item() for u in moe.usage], moe.prior.numpy())
moe(x)
