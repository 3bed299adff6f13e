"""Imports, data, model and loop all stand in one cell."""
# results: model, train_losses, val_accs

# %% under test
import numpy as np
import torch
from torch import nn
from torch.utils.data import TensorDataset, DataLoader
from sklearn.datasets import load_digits
from sklearn.preprocessing import StandardScaler
from sklearn.model_selection import train_test_split

torch.manual_seed(0)
np.random.seed(0)

X, y = load_digits(return_X_y=True)
X = StandardScaler().fit_transform(X)
X_train, X_val, y_train, y_val = train_test_split(X, y, random_state=42)

X_train = torch.from_numpy(X_train).float()
y_train = torch.from_numpy(y_train).long()
X_val = torch.from_numpy(X_val).float()
y_val = torch.from_numpy(y_val).long()

train_dl = DataLoader(TensorDataset(X_train, y_train), batch_size=100, shuffle=True)

model = nn.Sequential(
    nn.Linear(64, 50),
    nn.ReLU(),
    nn.Linear(50, 10),
)
loss_fn = nn.CrossEntropyLoss()
opt = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

train_losses, val_accs = [], []
for epoch in range(3):
    for xb, yb in train_dl:
        loss = loss_fn(model(xb), yb)
        opt.zero_grad()
        loss.backward()
        opt.step()
        train_losses.append(loss.item())
    with torch.no_grad():
        acc = (model(X_val).argmax(dim=1) == y_val).float().mean()
    val_accs.append(acc.item())
    print(epoch, val_accs[-1])

# %%
import matplotlib
matplotlib.use("agg")
import matplotlib.pyplot as plt
plt.plot(train_losses)
plt.close()
pred = model(X_val).argmax(1).numpy()
print((pred == y_val.numpy()).mean())
