"""A physics-informed net: second derivatives by autograd.grad, collocation points, Adam then LBFGS."""
# results: u, hist, x_plot_values

# %%
import torch
import torch.nn as nn

torch.manual_seed(0)
u = nn.Sequential(nn.Linear(1, 16), nn.Tanh(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 1))
x_c = torch.linspace(0, 1, 30).view(-1, 1).requires_grad_(True)
x_b = torch.tensor([[0.0], [1.0]])

def residual(x):
    y = u(x)
    dy = torch.autograd.grad(y, x, torch.ones_like(y), create_graph=True)[0]
    d2y = torch.autograd.grad(dy, x, torch.ones_like(dy), create_graph=True)[0]
    return d2y + torch.pi ** 2 * torch.sin(torch.pi * x)

# %% under test
hist = []
opt = torch.optim.Adam(u.parameters(), lr=5e-3)
for i in range(20):
    opt.zero_grad()
    loss = residual(x_c).pow(2).mean() + u(x_b).pow(2).mean()
    loss.backward()
    opt.step()
    hist.append(loss.item())

lbfgs = torch.optim.LBFGS(u.parameters(), max_iter=8, line_search_fn="strong_wolfe")
def closure():
    lbfgs.zero_grad()
    loss = residual(x_c).pow(2).mean() + u(x_b).pow(2).mean()
    loss.backward()
    hist.append(loss.item())
    return loss
lbfgs.step(closure)

xs = torch.arange(0, 1.01, 0.1).reshape(-1, 1)
x_plot_values = u(xs).detach().numpy()
print(hist[0], hist[-1])
