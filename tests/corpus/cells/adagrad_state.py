"""Adagrad makes its sums when it is built, before the first step."""
# results: w, b, opt, err

# %%
import torch

torch.manual_seed(0)
X = torch.rand(100, 3)
true_w = torch.tensor([[2.0], [-1.0], [0.5]])
y = X @ true_w + 0.3
w = torch.zeros(3, 1, requires_grad=True)
b = torch.zeros(1, requires_grad=True)
opt = torch.optim.Adagrad([w, b], lr=0.5)

# %% under test
for i in range(50):
    err = ((X @ w + b - y) ** 2).mean()
    opt.zero_grad()
    err.backward()
    opt.step()
    if i % 10 == 0:
        print(i, err.item())

# %%
print(w.detach().numpy().ravel(), b.item(), "truth", true_w.view(-1).tolist())
