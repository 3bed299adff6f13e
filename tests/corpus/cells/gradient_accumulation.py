"""Gradients are accumulated over several small batches."""
# results: net, optimizer, history

# %%
import torch
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(12)
ds = TensorDataset(torch.randn(96, 5), torch.randint(0, 3, (96,)))
loader = DataLoader(ds, batch_size=8, shuffle=True)
net = torch.nn.Sequential(torch.nn.Linear(5, 16), torch.nn.ELU(), torch.nn.Linear(16, 3))
optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
loss_fn = torch.nn.CrossEntropyLoss()
accum = 4

# %% under test
history = []
optimizer.zero_grad()
for epoch in range(3):
    total_loss = 0
    for step, (xb, yb) in enumerate(loader):
        loss = loss_fn(net(xb), yb) / accum
        loss.backward()
        total_loss += loss                   # a tensor sum with its graph
        if (step + 1) % accum == 0 or step + 1 == len(loader):
            optimizer.step()
            optimizer.zero_grad()
    history.append(total_loss.item() * accum / len(loader))
history
