"""A DataLoader with two workers and a Dataset of the notebook."""
# results: model, epoch_losses

# %%
import torch
from torch import nn
from torch.utils.data import Dataset, DataLoader

class SquaresDataset(Dataset):
    """x -> x**2 with a bit of noise."""
    def __init__(self, n):
        self.x = torch.linspace(-1, 1, n).unsqueeze(1)

    def __len__(self):
        return self.x.shape[0]

    def __getitem__(self, i):
        x = self.x[i]
        noise = torch.randn(1, generator=torch.Generator().manual_seed(int(i))) * 0.01
        return {"x": x, "y": x ** 2 + noise}

torch.manual_seed(0)
dataset = SquaresDataset(200)
loader = DataLoader(dataset, batch_size=20, shuffle=True, num_workers=2)
model = nn.Sequential(nn.Linear(1, 32), nn.Tanh(), nn.Linear(32, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
loss_fn = nn.MSELoss()

# %% under test
epoch_losses = []
for epoch in range(2):
    s = 0.
    for batch in loader:
        optimizer.zero_grad()
        loss = loss_fn(model(batch["x"]), batch["y"])
        loss.backward()
        optimizer.step()
        s += loss.item()
    epoch_losses.append(s / len(loader))
epoch_losses
