"""A convolutional net with batch norm and pooling, written out at length."""
# results: cnn, metrics

# %%
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, TensorDataset

digits = load_digits()
images = torch.tensor(digits.images[:600]).float().div(16).unsqueeze(1)
labels = torch.tensor(digits.target[:600])
trainloader = DataLoader(TensorDataset(images[:480], labels[:480]), batch_size=48, shuffle=True)
testloader = DataLoader(TensorDataset(images[480:], labels[480:]), batch_size=60, shuffle=False)

# %%
class CNN(nn.Module):
    def __init__(self, num_classes=10):
        super(CNN, self).__init__()
        self.conv1 = nn.Conv2d(1, 8, kernel_size=3, padding=1)
        self.bn1 = nn.BatchNorm2d(8)
        self.conv2 = nn.Conv2d(8, 16, kernel_size=3, padding=1)
        self.bn2 = nn.BatchNorm2d(16)
        self.pool = nn.MaxPool2d(2, 2)
        self.fc1 = nn.Linear(16 * 2 * 2, 32)
        self.fc2 = nn.Linear(32, num_classes)

    def forward(self, x):
        x = self.pool(F.relu(self.bn1(self.conv1(x))))
        x = self.pool(F.relu(self.bn2(self.conv2(x))))
        x = torch.flatten(x, 1)
        x = F.relu(self.fc1(x))
        return F.log_softmax(self.fc2(x), dim=1)

torch.manual_seed(0)
cnn = CNN()
optimizer = torch.optim.SGD(cnn.parameters(), lr=0.05, momentum=0.9)

# %% under test
metrics = {"train_loss": [], "test_loss": [], "test_acc": []}
for epoch in range(2):
    cnn.train()
    running = 0.0
    for i, data in enumerate(trainloader, 0):
        inputs, targets = data
        optimizer.zero_grad()
        outputs = cnn(inputs)
        loss = F.nll_loss(outputs, targets)
        loss.backward()
        optimizer.step()
        running += loss.item()
        if i % 4 == 3:
            print('[%d, %5d] loss: %.3f' % (epoch + 1, i + 1, running / (i + 1)))
    metrics["train_loss"].append(running / len(trainloader))

    cnn.eval()
    test_loss = 0
    correct = 0
    with torch.no_grad():
        for data, target in testloader:
            output = cnn(data)
            test_loss += F.nll_loss(output, target, reduction='sum').item()
            pred = output.argmax(dim=1, keepdim=True)
            correct += pred.eq(target.view_as(pred)).sum().item()
    metrics["test_loss"].append(test_loss / len(testloader.dataset))
    metrics["test_acc"].append(correct / len(testloader.dataset))

# %%
with torch.no_grad():
    maps = F.relu(cnn.conv1(images[:1]))
filters = cnn.conv1.weight.data.numpy()
print(maps.shape, filters.min(), metrics)
