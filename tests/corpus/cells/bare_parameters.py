"""Parameters outside a module: nn.Parameter and requires_grad_ tensors."""
# results: w, b, scale, optimizer, trace

# %%
import torch
from torch import nn

torch.manual_seed(0)
x = torch.linspace(-1, 1, 60)
y = 3 * x.exp() - 1 + 0.05 * torch.randn(60)

w = nn.Parameter(torch.randn(1))
b = torch.zeros(1).requires_grad_()
scale = torch.tensor(1.0, requires_grad=True)
optimizer = torch.optim.SGD([w, b, scale], lr=0.02, momentum=0.5)

def forward(x):
    return scale * torch.exp(w * x) + b

# %% under test
trace = []
for i in range(60):
    loss = nn.functional.mse_loss(forward(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    trace.append((loss.item(), w.item(), b.item(), scale.item()))
print(trace[-1])

# %%
print(f"y = {scale.item():.2f} * exp({w.item():.2f} x) + {b.item():.2f}")
assert w.grad is not None and b.is_leaf
