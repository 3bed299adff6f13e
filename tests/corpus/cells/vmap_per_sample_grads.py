"""Per-sample gradients with torch.func: stack, vmap and grad."""
# results: model, norms, losses

# %%
import torch
from torch import nn
from torch.func import functional_call, grad, vmap

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 2))
X = torch.randn(48, 5)
y = (X[:, 0] > 0).long()

def compute_loss(params, buffers, sample, target):
    out = functional_call(model, (params, buffers), (sample.unsqueeze(0),))
    return nn.functional.cross_entropy(out, target.unsqueeze(0))

# %% under test
losses, norms = [], []
for epoch in range(5):
    params = {k: v.detach() for k, v in model.named_parameters()}
    buffers = {k: v.detach() for k, v in model.named_buffers()}
    per_sample = vmap(grad(compute_loss), in_dims=(None, None, 0, 0))(params, buffers, X, y)
    norm = torch.stack([g.flatten(1).norm(dim=1) for g in per_sample.values()]).norm(dim=0)
    clip = (1.0 / (norm + 1e-6)).clamp(max=1.0)
    with torch.no_grad():
        for name, p in model.named_parameters():
            g = (per_sample[name] * clip.view(-1, *[1] * (per_sample[name].dim() - 1))).mean(0)
            p -= 0.5 * g
    norms.append(norm)
    losses.append(nn.functional.cross_entropy(model(X), y).item())
print(losses)
