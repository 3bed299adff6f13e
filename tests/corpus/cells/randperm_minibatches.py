"""Mini-batches drawn by randperm, with a shuffled split and masks."""
# results: model, losses, train_mask

# %%
import torch
import torch.nn.functional as F
from sklearn.datasets import load_breast_cancer

bc = load_breast_cancer()
X = torch.tensor(bc.data).float()
X = (X - X.mean(0, keepdim=True)) / (X.std(0, keepdim=True) + 1e-8)
y = torch.tensor(bc.target)
torch.manual_seed(0)
train_mask = torch.rand(len(X)) < 0.8
model = torch.nn.Sequential(torch.nn.Linear(30, 16), torch.nn.ReLU(), torch.nn.Linear(16, 2))
optimizer = torch.optim.NAdam(model.parameters(), lr=2e-3)

# %% under test
losses = []
train_idx = torch.nonzero(train_mask).squeeze(1)
for epoch in range(4):
    perm = train_idx[torch.randperm(train_idx.numel())]
    for k in range(0, len(perm), 64):
        b = perm[k:k + 64]
        optimizer.zero_grad()
        loss = F.cross_entropy(model(X[b]), y[b])
        loss.backward()
        optimizer.step()
    losses.append(loss.item())
    with torch.no_grad():
        acc = (model(X[~train_mask]).argmax(1) == y[~train_mask]).float().mean().item()
    print(f"{epoch}: {losses[-1]:.3f} {acc:.3f}")
