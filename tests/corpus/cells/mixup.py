"""Mixup with numpy's beta and randperm of the batch; label smoothing by hand."""
# results: model, losses

# %%
import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from sklearn.datasets import load_digits

np.random.seed(0)
torch.manual_seed(0)
d = load_digits()
train_dl = DataLoader(TensorDataset(torch.tensor(d.data[:512], dtype=torch.float32) / 16, torch.tensor(d.target[:512])),
                      batch_size=64, shuffle=True)
model = nn.Sequential(nn.Linear(64, 48), nn.ReLU(), nn.Linear(48, 10))
criterion = nn.CrossEntropyLoss()

def mixup_data(x, y, alpha=0.4):
    lam = np.random.beta(alpha, alpha)
    index = torch.randperm(x.size()[0])
    mixed_x = lam * x + (1 - lam) * x[index, :]
    return mixed_x, y, y[index], lam

# %% under test
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
losses = []
for epoch in range(2):
    for x, y in train_dl:
        mx, ya, yb, lam = mixup_data(x, y)
        out = model(mx)
        loss = lam * criterion(out, ya) + (1 - lam) * criterion(out, yb)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
np.mean(losses)
