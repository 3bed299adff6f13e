"""Adam (amsgrad) has state from warm-up steps in an ordinary cell."""
# results: model, opt, losses, final

# %%
import torch
from torch import nn

torch.manual_seed(0)
X = torch.randn(200, 6); Y = X.pow(2).sum(1, keepdim=True)
model = nn.Sequential(nn.Linear(6, 20), nn.Softplus(), nn.Linear(20, 1))
opt = torch.optim.Adam(model.parameters(), lr=1e-2, amsgrad=True)

def step():
    opt.zero_grad()
    loss = nn.functional.mse_loss(model(X), Y)
    loss.backward()
    opt.step()
    return loss.item()

# %%
# a few steps to see that it works
for _ in range(5):
    print(step())

# %% under test
losses = [step() for _ in range(20)]

# %%
# and some more
final = [step() for _ in range(3)]
print(losses[-1], final)
