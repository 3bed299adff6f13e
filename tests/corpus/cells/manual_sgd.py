"""No optimizer at all: p.data -= lr * p.grad, gradients zeroed by hand."""
# results: linear, loss_values, velocity

# %%
import torch

torch.manual_seed(0)
inputs = torch.randn(100, 3)
targets = inputs @ torch.tensor([1.5, -2.0, 0.5]) + 1
linear = torch.nn.Linear(3, 1)
lr = 0.05
velocity = [torch.zeros_like(p) for p in linear.parameters()]

# %% under test
loss_values = []
for step in range(40):
    out = linear(inputs).squeeze(1)
    loss = torch.mean((out - targets) ** 2)
    linear.zero_grad()
    loss.backward()
    if step < 20:
        for p in linear.parameters():
            p.data -= lr * p.grad
    else:
        with torch.no_grad():
            for v, p in zip(velocity, linear.parameters()):
                v.mul_(0.8).add_(p.grad)
                p -= lr * v
    loss_values.append(loss.item())
print(linear.weight.data, linear.bias.data)

# %%
w = linear.weight.data.numpy().flatten()
print(w, loss_values[-1])
