"""A lazy model of an earlier cell meets its first batch in the loop itself."""
# results: net, opt, curve

# %%
import torch
import torch.nn as nn

class LazyMLP(nn.Module):
    def __init__(self):
        super().__init__()
        self.l1 = nn.LazyLinear(16)
        self.l2 = nn.LazyLinear(1)

    def forward(self, x):
        return self.l2(self.l1(x).relu())

torch.manual_seed(11)
net = LazyMLP()
x = torch.rand(256, 5)
y = (x[:, :2].sum(1, keepdim=True) > 1).float()
opt = torch.optim.SGD(net.parameters(), lr=0.5)  # uninitialised parameters are fine here

# %% under test
curve = []
for i in range(30):
    p = torch.sigmoid(net(x))
    loss = nn.functional.binary_cross_entropy(p, y)
    opt.zero_grad(); loss.backward(); opt.step()
    curve.append(loss.item())
print(curve[-1])
