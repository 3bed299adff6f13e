"""Transfer learning: a frozen backbone, a new head, unfreezing within the cell."""
# results: backbone, head, model, phases

# %%
import torch
import torch.nn as nn
from sklearn.datasets import load_digits

d = load_digits()
x = torch.tensor(d.images[:400], dtype=torch.float32).unsqueeze(1) / 16
y = torch.tensor(d.target[:400])

torch.manual_seed(0)
backbone = nn.Sequential(
    nn.Conv2d(1, 6, 3), nn.BatchNorm2d(6), nn.ReLU(),
    nn.Conv2d(6, 12, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
# "pretrain" it a little
pre = nn.Sequential(backbone, nn.Linear(12, 2))
o = torch.optim.SGD(pre.parameters(), lr=0.1)
for i in range(0, 400, 100):
    o.zero_grad()
    nn.functional.cross_entropy(pre(x[i:i + 100]), (y[i:i + 100] > 4).long()).backward()
    o.step()
o.zero_grad()

for p in backbone.parameters():
    p.requires_grad = False
head = nn.Linear(12, 10)
model = nn.Sequential(backbone, head)

# %% under test
phases = []
optimizer = torch.optim.Adam(filter(lambda p: p.requires_grad, model.parameters()), lr=1e-2)
for i in range(0, 400, 50):
    loss = nn.functional.cross_entropy(model(x[i:i + 50]), y[i:i + 50])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
phases.append(("head", loss.item(), sum(p.requires_grad for p in model.parameters())))

# now fine-tune everything with a smaller rate
for p in backbone.parameters():
    p.requires_grad = True
optimizer = torch.optim.Adam([
    {"params": backbone.parameters(), "lr": 1e-4},
    {"params": head.parameters(), "lr": 1e-3},
])
for i in range(0, 400, 50):
    loss = nn.functional.cross_entropy(model(x[i:i + 50]), y[i:i + 50])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
phases.append(("all", loss.item(), sum(p.requires_grad for p in model.parameters())))
phases

# %%
assert model[0] is backbone and model[1] is head
