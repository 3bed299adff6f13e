"""Meta-learning: torch.func.functional_call and autograd.grad through the inner step."""
# results: net, meta_opt, meta_losses, fast

# %%
import torch
import torch.nn as nn
from torch.func import functional_call

torch.manual_seed(0)
net = nn.Sequential(nn.Linear(1, 20), nn.Tanh(), nn.Linear(20, 1))
meta_opt = torch.optim.Adam(net.parameters(), lr=1e-2)
tasks = [(a, p) for a in (0.5, 1.0, 2.0) for p in (0.0, 1.0)]

def sample_task(a, p, k=10):
    x = torch.rand(k, 1) * 4 - 2
    return x, a * torch.sin(x + p)

def inner(params, x, y, lr=0.05):
    loss = nn.functional.mse_loss(functional_call(net, params, (x,)), y)
    grads = torch.autograd.grad(loss, params.values(), create_graph=True)
    return {k: v - lr * g for (k, v), g in zip(params.items(), grads)}

# %% under test
meta_losses = []
for it in range(8):
    total = 0.0
    for a, p in tasks:
        xs, ys = sample_task(a, p)
        xq, yq = sample_task(a, p)
        fast = inner(dict(net.named_parameters()), xs, ys)
        total = total + nn.functional.mse_loss(functional_call(net, fast, (xq,)), yq)
    meta_opt.zero_grad()
    total.backward()
    meta_opt.step()
    meta_losses.append(total.item() / len(tasks))
fast = {k: v.detach() for k, v in fast.items()}
meta_losses[-1]

# %%
x = torch.linspace(-2, 2, 5).unsqueeze(1)
print(functional_call(net, fast, (x,)).detach().numpy().ravel())
