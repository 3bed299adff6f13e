"""The best state_dict is saved in the cell and loaded again afterwards."""
# results: model, loaded, reloaded_state, best_loss

# %%
import os
import tempfile
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

path = os.path.join(tempfile.mkdtemp(), "model.pt")
torch.manual_seed(9)
X = torch.randn(256, 10)
y = (X.sum(1) > 0).long()
train_loader = DataLoader(TensorDataset(X, y), batch_size=64, shuffle=True)

class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(10, 16), nn.ReLU())
        self.out = nn.Linear(16, 2)

    def forward(self, x):
        return self.out(self.body(x))

model = Classifier()
opt = torch.optim.Adam(model.parameters(), lr=0.01)

# %% under test
best_loss = float("inf")
for epoch in range(4):
    total = 0
    for xb, yb in train_loader:
        loss = nn.functional.cross_entropy(model(xb), yb)
        opt.zero_grad()
        loss.backward()
        opt.step()
        total += loss.item()
    if total < best_loss:
        best_loss = total
        torch.save(model.state_dict(), path)
        print("saved, loss", total)

loaded = Classifier()
loaded.load_state_dict(torch.load(path))
loaded.eval()
print("loaded acc", (loaded(X).argmax(1) == y).float().mean().item())

# %%
reloaded_state = torch.load(path)           # no map_location
again = Classifier()
again.load_state_dict(reloaded_state)
assert torch.equal(again(X), loaded(X))
