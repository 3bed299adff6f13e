"""Batches as namedtuple, dataclass, dict of lists, and an object with attributes."""
# results: model, losses, last_graph

# %%
from collections import namedtuple
from dataclasses import dataclass
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

Sample = namedtuple("Sample", ["x", "y"])

@dataclass
class Batch:
    x: torch.Tensor
    y: torch.Tensor
    ids: list

class Graph:
    """like torch_geometric's Data, without .to()"""
    def __init__(self, x, adj, y):
        self.x, self.adj, self.y = x, adj, y

torch.manual_seed(0)
X = torch.randn(60, 4)
Y = X[:, :1] * 2 - X[:, 1:2]
nt_loader = DataLoader([Sample(x, y) for x, y in zip(X, Y)], batch_size=12, shuffle=True)
dc_loader = DataLoader(TensorDataset(X, Y), batch_size=12,
                       collate_fn=lambda b: Batch(torch.stack([x for x, _ in b]), torch.stack([y for _, y in b]), list(range(len(b)))))
dict_loader = DataLoader([{"in": x, "out": [y]} for x, y in zip(X, Y)], batch_size=12)
graph_loader = DataLoader([Graph(X[i:i + 6], torch.ones(6, 6) / 6, Y[i:i + 6]) for i in range(0, 60, 6)],
                          batch_size=None)
model = nn.Linear(4, 1)
opt = torch.optim.SGD(model.parameters(), lr=0.05)

def update(pred, y):
    loss = nn.functional.mse_loss(pred, y)
    opt.zero_grad(); loss.backward(); opt.step()
    return loss.item()

# %% under test
losses = []
for batch in nt_loader:
    losses.append(update(model(batch.x), batch.y))
for b in dc_loader:
    losses.append(update(model(b.x), b.y))
for d in dict_loader:
    losses.append(update(model(d["in"]), d["out"][0]))
for g in graph_loader:
    losses.append(update(model(g.adj @ g.x), g.adj @ g.y))
last_graph = g
losses[-1]

# %%
print(last_graph.x.numpy().shape, last_graph.adj.sum())
