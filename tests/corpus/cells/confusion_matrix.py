"""Evaluation in the cell: predictions go to numpy and scikit-learn."""
# results: clf, cm, report, y_true, y_pred

# %%
import numpy as np
import torch
import torch.nn as nn
from sklearn.datasets import load_digits
from sklearn.metrics import confusion_matrix, classification_report, f1_score
from torch.utils.data import DataLoader, TensorDataset, random_split

torch.manual_seed(0)
d = load_digits()
full = TensorDataset(torch.tensor(d.data, dtype=torch.float32) / 16, torch.tensor(d.target))
train_ds, val_ds = random_split(full, [1400, len(full) - 1400])
train_dl = DataLoader(train_ds, batch_size=128, shuffle=True)
val_dl = DataLoader(val_ds, batch_size=128)
clf = nn.Sequential(nn.Linear(64, 40), nn.ReLU(), nn.Linear(40, 10))

# %% under test
opt = torch.optim.Adam(clf.parameters(), lr=5e-3)
for epoch in range(3):
    for xb, yb in train_dl:
        opt.zero_grad()
        nn.CrossEntropyLoss()(clf(xb), yb).backward()
        opt.step()

clf.eval()
y_true, y_pred, probs = [], [], []
with torch.no_grad():
    for xb, yb in val_dl:
        out = clf(xb)
        p = torch.softmax(out, dim=1)
        probs.append(p.numpy())
        y_pred.extend(out.argmax(1).tolist())
        y_true.extend(yb.numpy())
probs = np.vstack(probs)
cm = confusion_matrix(y_true, y_pred)
report = classification_report(y_true, y_pred, output_dict=True, zero_division=0)
print(cm)
print("macro f1", f1_score(y_true, y_pred, average="macro"), "max prob", probs.max())

# %%
assert cm.sum() == len(val_ds)
