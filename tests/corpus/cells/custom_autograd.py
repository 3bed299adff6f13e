"""A torch.autograd.Function of the user, with save_for_backward and constants."""
# results: w1, w2, losses

# %%
import torch

class LegendrePolynomial3(torch.autograd.Function):
    @staticmethod
    def forward(ctx, input):
        ctx.save_for_backward(input)
        return 0.5 * (5 * input ** 3 - 3 * input)

    @staticmethod
    def backward(ctx, grad_output):
        input, = ctx.saved_tensors
        return grad_output * 1.5 * (5 * input ** 2 - 1)

class STE(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.mask = (x.abs() <= 1).float()
        return torch.sign(x)
    @staticmethod
    def backward(ctx, g):
        return g * ctx.mask

dtype = torch.float
torch.manual_seed(0)
x = torch.linspace(-1, 1, 200, dtype=dtype)
y = torch.sin(3 * x)
w1 = torch.full((), 0.5, dtype=dtype, requires_grad=True)
w2 = torch.full((), -0.3, dtype=dtype, requires_grad=True)

# %% under test
P3 = LegendrePolynomial3.apply
losses = []
for t in range(40):
    y_pred = w1 * P3(x + w2) + 0.01 * STE.apply(x * w1)
    loss = (y_pred - y).pow(2).sum()
    losses.append(loss.item())
    loss.backward()
    with torch.no_grad():
        w1 -= 1e-3 * w1.grad
        w2 -= 1e-3 * w2.grad
        w1.grad = None
        w2.grad = None
print(f'y = {w1.item()} * P3(x + {w2.item()})')
