"""Cross-validation: a fresh model, optimizer and loaders for each fold."""
# results: fold_acc, fold_models, oof

# %%
import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Subset, TensorDataset
from sklearn.datasets import load_iris
from sklearn.model_selection import StratifiedKFold

X, y = load_iris(return_X_y=True)
dataset = TensorDataset(torch.tensor(X, dtype=torch.float32), torch.tensor(y))
kf = StratifiedKFold(n_splits=3, shuffle=True, random_state=0)

def make_model():
    return nn.Sequential(nn.Linear(4, 12), nn.ReLU(), nn.Linear(12, 3))

def reset_weights(m):
    for layer in m.children():
        if hasattr(layer, "reset_parameters"):
            layer.reset_parameters()

# %% under test
torch.manual_seed(42)
fold_acc, fold_models = {}, []
oof = np.zeros(len(dataset))
for fold, (train_ids, test_ids) in enumerate(kf.split(X, y)):
    train_loader = DataLoader(Subset(dataset, train_ids), batch_size=20, shuffle=True)
    test_loader = DataLoader(Subset(dataset, test_ids), batch_size=50)
    network = make_model()
    network.apply(reset_weights)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.02)
    for epoch in range(4):
        for inputs, targets in train_loader:
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(network(inputs), targets)
            loss.backward()
            optimizer.step()
    correct, total, preds = 0, 0, []
    with torch.no_grad():
        for inputs, targets in test_loader:
            _, predicted = torch.max(network(inputs), 1)
            total += targets.size(0)
            correct += (predicted == targets).sum().item()
            preds.append(predicted)
    oof[test_ids] = torch.cat(preds).numpy()
    fold_acc[fold] = 100.0 * correct / total
    fold_models.append(network)
    print(f"fold {fold}: {fold_acc[fold]:.1f} %")

# %%
print("mean", np.mean(list(fold_acc.values())), "oof", (oof == y).mean())
