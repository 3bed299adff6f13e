"""Weights, gradients and outputs are turned into numpy for plots, in and after the cell."""
# results: model, snapshots, grad_hist, boundary

# %%
import numpy as np
import torch
import torch.nn as nn
import matplotlib
matplotlib.use("agg")
import matplotlib.pyplot as plt
from sklearn.datasets import make_circles

X, y = make_circles(200, noise=0.05, factor=0.5, random_state=0)
X_t = torch.tensor(X, dtype=torch.float32)
y_t = torch.tensor(y, dtype=torch.float32)
torch.manual_seed(0)
model = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 1))
opt = torch.optim.Adam(model.parameters(), lr=0.02)

# %% under test
snapshots, grad_hist = [], []
for epoch in range(20):
    loss = nn.functional.binary_cross_entropy_with_logits(model(X_t).flatten(), y_t)
    opt.zero_grad()
    loss.backward()
    opt.step()
    if epoch % 5 == 0:
        snapshots.append(model[0].weight.detach().numpy().copy())
        grad_hist.append(np.array([p.grad.norm() for p in model.parameters()]))
        plt.hist(model[2].weight.data.numpy().ravel(), bins=10)
        plt.close()

xx, yy = np.meshgrid(np.linspace(-1.5, 1.5, 15), np.linspace(-1.5, 1.5, 15))
grid = torch.tensor(np.c_[xx.ravel(), yy.ravel()], dtype=torch.float32)
with torch.no_grad():
    boundary = torch.sigmoid(model(grid)).reshape(xx.shape).numpy()

# %%
plt.contourf(xx, yy, boundary)
plt.imshow(model[0].weight.detach().numpy())
plt.close()
assert np.asarray(model[0].bias.detach()).shape == (16,)
