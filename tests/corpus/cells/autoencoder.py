"""A denoising autoencoder; codes and reconstructions are kept for a plot."""
# results: ae, losses, codes, recon

# %%
import torch
from torch import nn
from sklearn.datasets import load_digits

X = torch.tensor(load_digits().data[:500] / 16.0, dtype=torch.float32)

class AE(nn.Module):
    def __init__(self, bottleneck=4):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(64, 24), nn.ReLU(), nn.Linear(24, bottleneck))
        self.decoder = nn.Sequential(nn.Linear(bottleneck, 24), nn.ReLU(), nn.Linear(24, 64), nn.Sigmoid())

    def forward(self, x):
        z = self.encoder(x)
        return self.decoder(z), z

torch.manual_seed(0)
ae = AE()
opt = torch.optim.Adam(ae.parameters(), lr=5e-3)

# %% under test
losses = []
for epoch in range(3):
    order = torch.randperm(len(X))
    for idx in order.split(100):
        x = X[idx]
        noisy = (x + 0.1 * torch.randn(x.shape)).clamp(0., 1.)
        out, _ = ae(noisy)
        loss = nn.functional.mse_loss(out, x)
        opt.zero_grad()
        loss.backward()
        opt.step()
    losses.append(loss.item())
with torch.no_grad():
    recon, codes = ae(X[:20])

# %%
img = recon.view(-1, 8, 8).numpy()
print(img.shape, codes.numpy().std(0), losses)
