"""The optimised thing is an image, not a network; a frozen net gives the features."""
# results: image, losses, feats_target

# %%
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits

torch.manual_seed(0)
imgs = torch.tensor(load_digits().images[:2], dtype=torch.float32)[:, None] / 16
content, style = imgs[:1], imgs[1:]
features = nn.Sequential(nn.Conv2d(1, 6, 3, padding=1), nn.ReLU(), nn.Conv2d(6, 8, 3, padding=1), nn.ReLU()).eval()
for p in features.parameters():
    p.requires_grad_(False)

def gram(x):
    b, c, h, w = x.size()
    f = x.view(c, h * w)
    return torch.mm(f, f.t()).div(c * h * w)

image = content.clone().requires_grad_(True)
optimizer = torch.optim.LBFGS([image], max_iter=4)
feats_target = features(content).detach()
gram_target = gram(features(style))

# %% under test
losses = []
run = [0]
while run[0] <= 12:
    def closure():
        with torch.no_grad():
            image.clamp_(0, 1)
        optimizer.zero_grad()
        f = features(image)
        loss = F.mse_loss(f, feats_target) + 100 * F.mse_loss(gram(f), gram_target)
        loss.backward()
        run[0] += 1
        losses.append(loss.item())
        return loss
    optimizer.step(closure)
with torch.no_grad():
    image.clamp_(0, 1)

# %%
print(losses[0], losses[-1], image.squeeze().detach().numpy().shape)
