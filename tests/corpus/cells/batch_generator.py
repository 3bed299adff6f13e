"""A generator function of an earlier cell yields batches of numpy and tensors."""
# results: model, losses

# %%
import numpy as np
import torch
import torch.nn as nn

np.random.seed(1)
torch.manual_seed(1)
inputs = np.random.rand(120, 3).astype(np.float32)
outputs = torch.tensor((inputs ** 2).sum(1, keepdims=True))

def iterate_minibatches(x, y, batch_size, shuffle=True):
    idx = np.arange(len(x))
    if shuffle:
        np.random.shuffle(idx)
    for start in range(0, len(x) - batch_size + 1, batch_size):
        excerpt = idx[start:start + batch_size]
        yield torch.from_numpy(x[excerpt]), y[excerpt]

model = nn.Sequential(nn.Linear(3, 12), nn.ReLU(), nn.Linear(12, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)

# %% under test
losses = []
for epoch in range(5):
    epoch_losses = []
    for xb, yb in iterate_minibatches(inputs, outputs, 30):
        loss = nn.functional.l1_loss(model(xb), yb)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        epoch_losses.append(loss.item())
    losses.append(np.mean(epoch_losses))
losses
