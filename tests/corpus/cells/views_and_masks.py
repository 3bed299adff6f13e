"""Earlier tensors are views of one another; the cell writes into them in place."""
# results: table, first_half, column, head, running, fc

# %%
import torch
import torch.nn as nn

torch.manual_seed(0)
table = torch.zeros(10, 4)
first_half, column = table[:5], table[:, 2]
head = table.view(-1)[:6]
running = {"mean": table.mean(0), "last": table[-1]}
X = torch.randn(40, 4)
fc = nn.Linear(4, 4)
opt = torch.optim.SGD(fc.parameters(), lr=0.1)

# %% under test
for step in range(10):
    out = fc(X)
    loss = (out - X.roll(1, dims=1)).pow(2).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    table[step] = out.detach().mean(0)
    running["last"].add_(0.5)
    running["mean"] = 0.9 * running["mean"] + 0.1 * table[step]
first_half[table[:5] < 0] = 0
column += 1

# %%
assert torch.equal(table[:5], first_half) and torch.equal(column, table[:, 2])
assert torch.equal(head, table.flatten()[:6]) and torch.equal(running["last"], table[9])
