"""A parameter group joins the optimizer in the middle of the cell."""
# results: base, extra, optimizer, losses

# %%
import torch
import torch.nn as nn

torch.manual_seed(0)
base = nn.Linear(4, 8)
extra = nn.Linear(8, 1)
x = torch.randn(64, 4)
y = x.sum(1, keepdim=True).tanh()
optimizer = torch.optim.Adam(base.parameters(), lr=0.01)
sched = torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.95)

# %% under test
losses = []
for epoch in range(16):
    if epoch == 6:
        optimizer.add_param_group({"params": extra.parameters(), "lr": 0.05})
    loss = (extra(base(x).relu()) - y).abs().mean()
    optimizer.zero_grad()
    extra.zero_grad()
    loss.backward()
    optimizer.step()
    if epoch < 6:
        sched.step()
    losses.append(loss.item())
len(optimizer.param_groups), losses[-1]
