"""The loss has a class-weight tensor from an earlier cell, as module and as function."""
# results: model, losses, weights, criterion

# %%
import numpy as np
import torch
import torch.nn as nn
from sklearn.utils.class_weight import compute_class_weight

torch.manual_seed(0)
X = torch.randn(150, 5)
y = torch.tensor(np.random.RandomState(0).choice(3, 150, p=[0.7, 0.2, 0.1]))
weights = torch.tensor(compute_class_weight("balanced", classes=np.unique(y), y=y.numpy()), dtype=torch.float)
criterion = nn.CrossEntropyLoss(weight=weights)
model = nn.Linear(5, 3)
opt = torch.optim.Adam(model.parameters(), lr=0.05)

# %% under test
losses = []
for i in range(15):
    logits = model(X)
    loss = criterion(logits, y) + 0.1 * nn.functional.nll_loss(logits.log_softmax(1), y, weight=weights ** 0.5)
    opt.zero_grad()
    loss.backward()
    opt.step()
    losses.append(loss.item())
losses[-1]
