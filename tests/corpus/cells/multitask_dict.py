"""A model with two heads returns a dict; the losses are weighted by learnt parameters."""
# results: model, loss_module, optimizer, logs, outputs

# %%
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, Dataset
from sklearn.datasets import load_wine

class WineTasks(Dataset):
    def __init__(self):
        w = load_wine()
        x = torch.tensor(w.data).float()
        self.x = (x - x.mean(0)) / x.std(0)
        self.kind = torch.tensor(w.target)

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        return {"features": self.x[i, 1:], "targets": {"kind": self.kind[i], "alcohol": self.x[i, 0]}}

class TwoHeads(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(12, 16), nn.ReLU())
        self.heads = nn.ModuleDict({"kind": nn.Linear(16, 3), "alcohol": nn.Linear(16, 1)})

    def forward(self, x):
        h = self.trunk(x)
        return {name: head(h) for name, head in self.heads.items()}

class UncertaintyLoss(nn.Module):
    def __init__(self):
        super().__init__()
        self.log_vars = nn.ParameterDict({"kind": nn.Parameter(torch.zeros(())), "alcohol": nn.Parameter(torch.zeros(()))})

    def forward(self, out, targets):
        parts = {"kind": F.cross_entropy(out["kind"], targets["kind"]),
                 "alcohol": F.mse_loss(out["alcohol"].squeeze(1), targets["alcohol"])}
        total = sum(torch.exp(-self.log_vars[k]) * v + self.log_vars[k] for k, v in parts.items())
        return total, parts

torch.manual_seed(0)
loader = DataLoader(WineTasks(), batch_size=32, shuffle=True)
model, loss_module = TwoHeads(), UncertaintyLoss()
optimizer = torch.optim.Adam([*model.parameters(), *loss_module.parameters()], lr=5e-3)

# %% under test
logs = []
for epoch in range(3):
    for batch in loader:
        outputs = model(batch["features"])
        total, parts = loss_module(outputs, batch["targets"])
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        logs.append({k: v.item() for k, v in parts.items()})
outputs = {k: v.detach() for k, v in outputs.items()}
logs[-1]

# %%
print(outputs["kind"].softmax(1).numpy().shape, dict(loss_module.log_vars))
