"""Targets by one_hot and by scatter_, with MSE and soft labels."""
# results: model, hist, soft

# %%
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_iris

X, y = load_iris(return_X_y=True)
X = torch.tensor(X, dtype=torch.float32)
y = torch.tensor(y, dtype=torch.long)
torch.manual_seed(0)
model = nn.Sequential(nn.Linear(4, 10), nn.Sigmoid(), nn.Linear(10, 3), nn.Softmax(dim=1))
opt = torch.optim.Rprop(model.parameters(), lr=0.01)

# %% under test
Y = F.one_hot(y, num_classes=3).float()
soft = torch.full((len(y), 3), 0.05).scatter_(1, y.unsqueeze(1), 0.9)
eye = torch.eye(3)
hist = []
for epoch in range(20):
    out = model(X)
    loss = F.mse_loss(out, Y) + F.kl_div(out.log(), soft, reduction="batchmean") * 0.1 + F.mse_loss(out, eye[y])
    opt.zero_grad()
    loss.backward()
    opt.step()
    hist.append(loss.item())
hist[-1]
