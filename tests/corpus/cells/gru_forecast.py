"""Sliding windows with numpy, a GRU whose last step predicts the next value."""
# results: model, train_hist, preds

# %%
import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import TensorDataset, DataLoader

rng = np.random.default_rng(0)
values = np.sin(np.arange(300) / 10) + rng.normal(0, 0.05, 300)

def create_dataset(seq, lookback):
    X, y = [], []
    for i in range(len(seq) - lookback):
        X.append(seq[i:i + lookback])
        y.append(seq[i + lookback])
    return torch.tensor(np.array(X)).float().unsqueeze(-1), torch.tensor(np.array(y)).float().unsqueeze(-1)

X_train, y_train = create_dataset(values[:200], 12)
X_test, y_test = create_dataset(values[200:], 12)

# %%
class GRUModel(nn.Module):
    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(input_size=1, hidden_size=12, num_layers=1, batch_first=True)
        self.linear = nn.Linear(12, 1)

    def forward(self, x):
        out, _ = self.gru(x)
        return self.linear(out[:, -1, :])

torch.manual_seed(4)
model = GRUModel()
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
loss_fn = nn.MSELoss()
loader = DataLoader(TensorDataset(X_train, y_train), shuffle=True, batch_size=32)

# %% under test
train_hist = []
for epoch in range(4):
    model.train()
    for X_batch, y_batch in loader:
        y_pred = model(X_batch)
        loss = loss_fn(y_pred, y_batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        train_rmse = np.sqrt(loss_fn(model(X_train), y_train))
        test_rmse = np.sqrt(loss_fn(model(X_test), y_test))
    train_hist.append((train_rmse.item(), test_rmse.item()))
    print("Epoch %d: train RMSE %.4f, test RMSE %.4f" % (epoch, train_rmse, test_rmse))

# %%
with torch.no_grad():
    train_plot = np.ones_like(values) * np.nan
    preds = model(X_test).squeeze(-1)
    train_plot[212:] = preds
print(np.nanmean(np.abs(train_plot - values)))
