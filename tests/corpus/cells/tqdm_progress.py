"""tqdm around loader and epochs, loss shown in the bar."""
# results: model, history, total_seen

# %%
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset
from tqdm import tqdm, trange

torch.manual_seed(0)
X, Y = torch.randn(160, 6), torch.randn(160, 2)
loader = DataLoader(TensorDataset(X, Y), batch_size=32, shuffle=True)
model = nn.Sequential(nn.Linear(6, 12), nn.Hardswish(), nn.Linear(12, 2))
opt = torch.optim.Adam(model.parameters())

# %% under test
history, total_seen = [], 0
for epoch in trange(2, desc="epochs"):
    bar = tqdm(enumerate(loader), total=len(loader), leave=False)
    for i, (xb, yb) in bar:
        opt.zero_grad()
        loss = ((model(xb) - yb) ** 2).mean()
        loss.backward()
        opt.step()
        total_seen += xb.shape[0]
        history.append(loss.item())
        bar.set_postfix(loss=f"{loss.item():.3f}", avg=sum(history) / len(history))
