"""Losses are kept as tensors, with their graphs, as beginners do."""
# results: model, train_losses, val_losses, loss

# %%
import torch
import torch.nn as nn

torch.manual_seed(0)
X = torch.rand(150, 2) * 4 - 2
y = (X[:, 0] ** 2 + X[:, 1] ** 2 < 1.5).float()
X_train, X_test, y_train, y_test = X[:120], X[120:], y[:120], y[120:]

class CircleModel(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer_1 = nn.Linear(2, 10)
        self.layer_2 = nn.Linear(10, 1)

    def forward(self, x):
        return self.layer_2(self.layer_1(x).relu())

model_0 = model = CircleModel()
loss_fn = nn.BCEWithLogitsLoss()
optimizer = torch.optim.SGD(params=model_0.parameters(), lr=0.1)

# %% under test
train_losses = []
val_losses = []
for epoch in range(30):
    model_0.train()
    y_logits = model_0(X_train).squeeze()
    y_pred = torch.round(torch.sigmoid(y_logits))
    loss = loss_fn(y_logits, y_train)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    train_losses.append(loss)            # forgot .item()

    model_0.eval()
    test_logits = model_0(X_test).squeeze()   # forgot no_grad
    test_loss = loss_fn(test_logits, y_test)
    val_losses.append(test_loss)
    if epoch % 10 == 0:
        print(f"Epoch: {epoch} | Loss: {loss:.5f} | Test loss: {test_loss:.5f}")

# %%
import numpy as np
curve = [l.detach().numpy() for l in train_losses]
val_curve = torch.stack(val_losses).detach().numpy()
print(np.array(curve)[-3:], val_curve[-3:])
