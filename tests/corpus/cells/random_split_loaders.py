"""random_split with its generator, in the cell; Subset indices used afterwards."""
# results: model, train_hist, test_set.indices

# %%
import torch
from torch import nn, optim
from torch.utils.data import random_split, DataLoader, Dataset
from sklearn.datasets import load_diabetes

class Diabetes(Dataset):
    def __init__(self):
        b = load_diabetes()
        self.X = torch.from_numpy(b.data).float()
        self.y = torch.from_numpy(b.target).float() / 100
    def __len__(self):
        return len(self.X)
    def __getitem__(self, i):
        return self.X[i], self.y[i]

dataset = Diabetes()

# %% under test
torch.manual_seed(0)
n_train = int(0.8 * len(dataset))
train_set, test_set = random_split(dataset, [n_train, len(dataset) - n_train],
                                   generator=torch.Generator().manual_seed(42))
train_loader = DataLoader(train_set, batch_size=32, shuffle=True)
test_loader = DataLoader(test_set, batch_size=32)
model = nn.Sequential(nn.Linear(10, 20), nn.ReLU(), nn.Linear(20, 1))
optimizer = optim.Adam(model.parameters(), lr=1e-2)
train_hist = []
for epoch in range(4):
    for x, y in train_loader:
        optimizer.zero_grad()
        out = model(x).squeeze()
        loss = nn.MSELoss()(out, y)
        loss.backward()
        optimizer.step()
    train_hist.append(loss.item())
model.eval()
mae = 0
with torch.no_grad():
    for x, y in test_loader:
        mae += (model(x).squeeze(-1) - y).abs().sum().item()
print("MAE", mae / len(test_set))
