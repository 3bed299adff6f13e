"""Code with the mixed-precision idiom of the tutorials, switched off."""
# results: model, losses

# %%
import torch
from torch import nn

use_amp = False
torch.manual_seed(0)
X = torch.randn(96, 8)
y = (X[:, 0] * X[:, 1] > 0).float()[:, None]
model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 1))
opt = torch.optim.AdamW(model.parameters(), lr=5e-3)

# %% under test
losses = []
for epoch in range(6):
    for xb, yb in zip(X.split(32), y.split(32)):
        with torch.autocast("cpu", enabled=use_amp):
            loss = nn.functional.binary_cross_entropy_with_logits(model(xb), yb)
        opt.zero_grad(set_to_none=True)
        loss.backward()
        opt.step()
        losses.append(loss.detach())
torch.stack(losses).mean()
