"""Whole tensors of an earlier cell, sliced into batches in the loop."""
# results: model, loss_list, w_before

# %%
import torch
import numpy as np
from sklearn.datasets import load_iris
from sklearn.model_selection import train_test_split

iris = load_iris()
x_train, x_test, y_train, y_test = train_test_split(iris.data, iris.target, test_size=0.2, random_state=1)
x_train = torch.Tensor(x_train)
x_test = torch.Tensor(x_test)
y_train = torch.LongTensor(y_train)
y_test = torch.LongTensor(y_test)

# %%
torch.manual_seed(7)
model = torch.nn.Sequential(
    torch.nn.Linear(4, 16),
    torch.nn.ReLU(),
    torch.nn.Linear(16, 3),
)
w_before = model[0].weight.clone()
criterion = torch.nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
batch_size = 16

# %% under test
loss_list = []
for epoch in range(10):
    for i in range(0, len(x_train), batch_size):
        xb = x_train[i:i + batch_size]
        yb = y_train[i:i + batch_size]
        y_pred = model(xb)
        loss = criterion(y_pred, yb)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    loss_list.append(loss.item())

with torch.no_grad():
    acc = (model(x_test).argmax(1) == y_test).sum() / len(y_test)
print("Accuracy:", acc.item())

# %%
y_hat = model(x_test).argmax(1)
print(np.unique(y_hat.numpy(), return_counts=True))
