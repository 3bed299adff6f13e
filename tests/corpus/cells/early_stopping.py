"""Early stopping keeps the best weights as a deep copy of the state_dict."""
# results: model, best_wts, best_epoch, val_history

# %%
import copy
import torch
import torch.nn as nn
from sklearn.datasets import make_regression

Xn, yn = make_regression(n_samples=160, n_features=8, noise=15.0, random_state=3)
X = torch.FloatTensor(Xn)
y = torch.FloatTensor(yn / yn.std()).reshape(-1, 1)
X_train, y_train, X_val, y_val = X[:60], y[:60], X[60:], y[60:]

class EarlyStopping:
    def __init__(self, patience=3, min_delta=0.0):
        self.patience, self.min_delta = patience, min_delta
        self.counter, self.best, self.stop = 0, None, False

    def __call__(self, val_loss):
        if self.best is None or val_loss < self.best - self.min_delta:
            self.best = val_loss
            self.counter = 0
        else:
            self.counter += 1
            self.stop = self.counter >= self.patience

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
criterion = nn.MSELoss()
stopper = EarlyStopping(patience=4)

# %% under test
best_wts = copy.deepcopy(model.state_dict())
best_loss, best_epoch = 1e10, -1
val_history = []
for epoch in range(60):
    model.train()
    optimizer.zero_grad()
    criterion(model(X_train), y_train).backward()
    optimizer.step()
    model.eval()
    with torch.no_grad():
        vloss = criterion(model(X_val), y_val)
    val_history.append(vloss.item())
    stopper(vloss)
    if vloss < best_loss:
        best_loss = vloss
        best_epoch = epoch
        best_wts = copy.deepcopy(model.state_dict())
    if stopper.stop:
        print("Early stopping at", epoch)
        break
model.load_state_dict(best_wts)

# %%
with torch.no_grad():
    assert abs(criterion(model(X_val), y_val) - best_loss) < 1e-5
print(best_epoch, best_loss, stopper.best)
