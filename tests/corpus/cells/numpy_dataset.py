"""The Dataset works in numpy: reads, augments, converts back and forth."""
# results: model, losses, all_preds, all_labels

# %%
import numpy as np
import torch
from torch import nn
from torch.utils.data import Dataset, DataLoader
from sklearn.datasets import load_digits

np.random.seed(0)
torch.manual_seed(0)

# %%
class DigitsDataset(Dataset):
    def __init__(self, images, labels, train=True, transform=None):
        self.images = images.astype(np.float32) / 16.0
        self.labels = labels
        self.mean = torch.tensor(self.images.mean())
        self.std = torch.tensor(self.images.std())
        self.train = train
        self.transform = transform

    def __len__(self):
        return len(self.images)

    def __getitem__(self, idx):
        img = self.images[idx]
        if self.train and np.random.rand() < 0.5:
            img = np.roll(img, np.random.randint(-1, 2), axis=1)
        t = torch.from_numpy(img.copy())
        t = (t - self.mean) / self.std
        t = t + 0.01 * torch.from_numpy(np.random.randn(*t.shape).astype("float32"))
        arr = t.numpy()                      # some libs want numpy here
        arr = np.clip(arr, -3, 3)
        if self.transform:
            arr = self.transform(arr)
        return torch.as_tensor(arr).unsqueeze(0), int(self.labels[idx])

d = load_digits()
train_set = DigitsDataset(d.images[:600], d.target[:600])
test_set = DigitsDataset(d.images[600:900], d.target[600:900], train=False, transform=np.ascontiguousarray)
train_loader = DataLoader(train_set, batch_size=32, shuffle=True)
test_loader = DataLoader(test_set, batch_size=100)

model = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8 * 16, 10))
opt = torch.optim.Adam(model.parameters(), lr=3e-3)

# %% under test
losses = []
for epoch in range(2):
    for imgs, labels in train_loader:
        loss = nn.functional.cross_entropy(model(imgs), labels)
        opt.zero_grad()
        loss.backward()
        opt.step()
        losses.append(loss.item())

all_preds, all_labels = [], []
model.eval()
with torch.no_grad():
    for imgs, labels in test_loader:
        out = model(imgs)
        all_preds.append(out.argmax(1).numpy())
        all_labels.append(labels.numpy())
all_preds = np.concatenate(all_preds)
all_labels = np.concatenate(all_labels)
print("acc", (all_preds == all_labels).mean())
