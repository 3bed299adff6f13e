"""Metrics are collected batch by batch in nested dicts and defaultdicts."""
# results: model, metrics, per_class

# %%
from collections import defaultdict
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from sklearn.datasets import load_wine

wine = load_wine()
X = torch.tensor(wine.data, dtype=torch.float32)
X = (X - X.mean(dim=0)) / X.std(dim=0)
y = torch.tensor(wine.target)
torch.manual_seed(21)
idx = torch.randperm(len(X))
loaders = {
    "train": DataLoader(TensorDataset(X[idx[:130]], y[idx[:130]]), batch_size=26, shuffle=True),
    "val": DataLoader(TensorDataset(X[idx[130:]], y[idx[130:]]), batch_size=24),
}
model = nn.Sequential(nn.Linear(13, 16), nn.ReLU(), nn.Linear(16, 3))
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)

# %% under test
metrics = {phase: defaultdict(list) for phase in loaders}
per_class = defaultdict(lambda: torch.zeros(2))
for epoch in range(4):
    for phase in ["train", "val"]:
        model.train(phase == "train")
        epoch_loss, epoch_correct, n = 0.0, 0, 0
        for inputs, labels in loaders[phase]:
            optimizer.zero_grad()
            with torch.set_grad_enabled(phase == "train"):
                outputs = model(inputs)
                _, preds = torch.max(outputs, 1)
                loss = nn.functional.cross_entropy(outputs, labels)
                if phase == "train":
                    loss.backward()
                    optimizer.step()
            epoch_loss += loss.item() * inputs.size(0)
            epoch_correct += torch.sum(preds == labels.data)
            n += len(labels)
            for c in range(3):
                mask = labels == c
                per_class[c] += torch.tensor([(preds[mask] == c).sum(), mask.sum()])
        metrics[phase]["loss"].append(epoch_loss / n)
        metrics[phase]["acc"].append(epoch_correct.double() / n)
        print(f"{phase} loss {epoch_loss / n:.4f} acc {epoch_correct.double() / n:.4f}")

# %%
recall = {c: (t[0] / t[1]).item() for c, t in per_class.items()}
print(recall, max(metrics["val"]["acc"]))
