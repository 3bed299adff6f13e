"""An endless batch generator is started in the cell and goes on afterwards."""
# results: model, first, later

# %%
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
loader = DataLoader(TensorDataset(torch.randn(40, 4), torch.randn(40, 1)), batch_size=8, shuffle=True)

def cycle(loader):
    while True:
        for batch in loader:
            yield batch

model = nn.Linear(4, 1)
opt = torch.optim.SGD(model.parameters(), lr=0.1)
stream = cycle(loader)

# %% under test
first = []
for step in range(7):
    x, y = next(stream)
    loss = (model(x) - y).square().mean()
    opt.zero_grad(); loss.backward(); opt.step()
    first.append(loss.item())

# %%
later = []
for step in range(4):
    x, y = next(stream)
    later.append(nn.functional.mse_loss(model(x), y).item())
print(later)
