"""A small U-Net: transposed convolutions, skip connections, dice loss, IoU."""
# results: unet, losses, ious, mask_pred

# %%
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import Dataset, DataLoader

class Circles(Dataset):
    def __init__(self, n=48, size=16):
        self.n, self.size = n, size
    def __len__(self):
        return self.n
    def __getitem__(self, i):
        rng = np.random.RandomState(i)
        cx, cy, r = rng.randint(4, 12, 2).tolist() + [rng.randint(2, 5)]
        yy, xx = np.mgrid[:self.size, :self.size]
        mask = ((xx - cx) ** 2 + (yy - cy) ** 2 < r ** 2).astype(np.float32)
        img = mask + rng.normal(0, 0.3, mask.shape)
        return torch.from_numpy(img).float().unsqueeze(0), torch.from_numpy(mask).unsqueeze(0)

def double_conv(i, o):
    return nn.Sequential(nn.Conv2d(i, o, 3, padding=1), nn.BatchNorm2d(o), nn.ReLU(inplace=True))

class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.d1, self.d2 = double_conv(1, 6), double_conv(6, 12)
        self.up = nn.ConvTranspose2d(12, 6, 2, stride=2)
        self.u1 = double_conv(12, 6)
        self.out = nn.Conv2d(6, 1, 1)
    def forward(self, x):
        c1 = self.d1(x)
        c2 = self.d2(F.max_pool2d(c1, 2))
        return self.out(self.u1(torch.cat([self.up(c2), c1], dim=1)))

def dice_loss(pred, target, smooth=1.):
    pred = torch.sigmoid(pred)
    inter = (pred * target).sum(dim=(2, 3))
    return (1 - (2. * inter + smooth) / (pred.sum(dim=(2, 3)) + target.sum(dim=(2, 3)) + smooth)).mean()

torch.manual_seed(0)
unet = UNet()
loader = DataLoader(Circles(), batch_size=12, shuffle=True)
optimizer = torch.optim.Adam(unet.parameters(), lr=1e-2)

# %% under test
losses, ious = [], []
for epoch in range(2):
    unet.train()
    for img, mask in loader:
        pred = unet(img)
        loss = F.binary_cross_entropy_with_logits(pred, mask) + dice_loss(pred, mask)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    unet.eval()
    with torch.no_grad():
        p = unet(img) > 0
        m = mask.bool()
        ious.append(((p & m).sum((1, 2, 3)) / (p | m).sum((1, 2, 3)).clamp(min=1)).mean().item())
mask_pred = p[0, 0].numpy()
print(ious, mask_pred.sum())
