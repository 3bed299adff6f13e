"""A logger object collects tensors, floats and figures under string keys."""
# results: logger.data, model

# %%
import json
import torch
import torch.nn as nn

class Logger:
    def __init__(self):
        self.data = {}
        self.callbacks = {}
    def log(self, **kw):
        for k, v in kw.items():
            self.data.setdefault(k, []).append(v)
    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        return self.__dict__.get("data", {}).get(name, [])
    def last(self, k):
        return self.data[k][-1]

torch.manual_seed(0)
logger = Logger()
model = nn.Sequential(nn.Linear(5, 5), nn.ReLU(), nn.Linear(5, 5))
x = torch.randn(50, 5)
opt = torch.optim.Adamax(model.parameters(), lr=0.01)

# %% under test
for epoch in range(10):
    out = model(x)
    loss = (out - x).pow(2).mean()
    opt.zero_grad()
    loss.backward()
    grad_norm = torch.norm(torch.stack([p.grad.norm() for p in model.parameters()]))
    opt.step()
    logger.log(loss=loss.item(), grad_norm=grad_norm, out_hist=torch.histc(out.detach(), 5), weight=model[0].weight.data.clone())
print(json.dumps({"loss": logger.last("loss")}))

# %%
print(torch.stack(logger.out_hist).sum(0).numpy(), max(logger.grad_norm))
