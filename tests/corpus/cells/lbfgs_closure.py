"""LBFGS with a closure, after a first step on the CPU."""
# results: model, optimizer, values

# %%
import torch
import torch.nn as nn

torch.manual_seed(0)
x = torch.linspace(-2, 2, 80).unsqueeze(1)
y = torch.sin(3 * x)
model = nn.Sequential(nn.Linear(1, 12), nn.Tanh(), nn.Linear(12, 1))
optimizer = torch.optim.LBFGS(model.parameters(), lr=0.8, max_iter=5, history_size=6)

def closure():
    optimizer.zero_grad()
    loss = ((model(x) - y) ** 2).mean()
    loss.backward()
    return loss

first = optimizer.step(closure)
print(first.item())

# %% under test
values = []
for i in range(4):
    loss = optimizer.step(closure)
    values.append(loss.item())
print(values)

# %%
optimizer.step(closure)
print(closure().item())
