"""The cell sets every seed itself, twice, and compares two runs."""
# results: runs, models

# %%
import random
import numpy as np
import torch
from torch.utils.data import DataLoader, TensorDataset

def seed_everything(seed=42):
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    torch.cuda.manual_seed_all(seed)
    torch.backends.cudnn.deterministic = True

seed_everything(0)
X = torch.randn(128, 3)
Y = X.sum(1, keepdim=True) + 0.1 * torch.randn(128, 1)

# %% under test
runs, models = [], []
for run in range(2):
    seed_everything(123)
    model = torch.nn.Sequential(torch.nn.Linear(3, 8), torch.nn.ReLU(), torch.nn.Linear(8, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    loader = DataLoader(TensorDataset(X, Y), batch_size=16, shuffle=True)
    total = []
    for epoch in range(2):
        for xb, yb in loader:
            xb = xb + 0.01 * torch.randn(xb.shape)
            loss = torch.nn.functional.mse_loss(model(xb), yb)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total.append(loss.item())
    runs.append(total)
    models.append(model)
assert runs[0] == runs[1]
print("reproducible:", np.allclose(runs[0], runs[1]))
