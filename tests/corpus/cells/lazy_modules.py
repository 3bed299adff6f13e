"""Lazy layers find their sizes in the first batch, inside the cell."""
# results: model, hist

# %%
import torch
from torch import nn
from sklearn.datasets import load_digits

torch.manual_seed(5)
digits = load_digits()
X = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1) / 16
y = torch.tensor(digits.target)
loader = torch.utils.data.DataLoader(
    torch.utils.data.TensorDataset(X[:512], y[:512]), batch_size=64, shuffle=True)

model = nn.Sequential(
    nn.LazyConv2d(8, kernel_size=3), nn.LazyBatchNorm2d(), nn.ReLU(),
    nn.Flatten(),
    nn.LazyLinear(32), nn.ReLU(),
    nn.LazyLinear(10),
)

# %% under test
model(X[:1])  # dry run: materialise the lazy parameters
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
hist = []
for epoch in range(2):
    for xb, yb in loader:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(xb), yb)
        loss.backward()
        optimizer.step()
        hist.append(float(loss))

# %%
print(model)
print(sum(p.numel() for p in model.parameters()))
