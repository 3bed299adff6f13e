"""Forward hooks capture activations in a dict, gradients in a list."""
# results: model, activations, grads, act_mean

# %%
import torch
import torch.nn as nn

torch.manual_seed(0)
model = nn.Sequential()
model.add_module("fc1", nn.Linear(10, 20))
model.add_module("act1", nn.ReLU())
model.add_module("fc2", nn.Linear(20, 20))
model.add_module("act2", nn.ReLU())
model.add_module("out", nn.Linear(20, 2))

activations = {}
grads = []

def get_activation(name):
    def hook(module, inp, out):
        activations[name] = out.detach()
    return hook

handles = [m.register_forward_hook(get_activation(n)) for n, m in model.named_modules() if "act" in n]
model.out.weight.register_hook(lambda g: grads.append(g.clone()))

x = torch.randn(64, 10)
y = torch.randint(0, 2, (64,))
opt = torch.optim.SGD(model.parameters(), lr=0.1)

# %% under test
act_mean = []
for i in range(8):
    loss = nn.functional.cross_entropy(model(x), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
    act_mean.append({k: v.mean().item() for k, v in activations.items()})
act_mean[-1]

# %%
for h in handles:
    h.remove()
dead = {k: (v.numpy() == 0).mean() for k, v in activations.items()}
print(dead, torch.stack(grads).abs().mean())
