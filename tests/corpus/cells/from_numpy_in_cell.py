"""numpy arrays become tensors inside the loop, batch by batch."""
# results: model, losses, preds

# %%
import numpy as np
import torch
from torch import nn

rng = np.random.RandomState(0)
X = rng.randn(300, 7)
y = (X[:, 0] + X[:, 1] * X[:, 2] > 0).astype(np.int64)
torch.manual_seed(0)
model = nn.Sequential(nn.Linear(7, 24), nn.ReLU(), nn.Linear(24, 2))
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)

# %% under test
losses = []
for epoch in range(3):
    order = rng.permutation(len(X))
    for start in range(0, len(X), 50):
        sel = order[start:start + 50]
        inputs = torch.from_numpy(X[sel]).float()
        target = torch.from_numpy(y[sel])
        optimizer.zero_grad()
        loss = nn.CrossEntropyLoss()(model(inputs), target)
        loss.backward()
        optimizer.step()
        losses.append(loss.data.numpy())
preds = model(torch.from_numpy(X.astype("float32"))).argmax(dim=1).numpy()
print("train acc:", np.mean(preds == y))

# %%
print(np.mean(losses[:6]), "->", np.mean(losses[-6:]))
