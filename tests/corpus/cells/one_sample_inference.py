"""Training, then one sample taken straight from the dataset."""
# results: model, logits, pred, example, confidence

# %%
import torch
from torch import nn
from torch.utils.data import Dataset, DataLoader
from sklearn.datasets import load_digits

class Digits(Dataset):
    def __init__(self):
        d = load_digits()
        self.x = torch.tensor(d.images, dtype=torch.float32)[:, None] / 16
        self.y = torch.tensor(d.target)

    def __getitem__(self, index):
        return self.x[index], self.y[index]

    def __len__(self):
        return 300

dataset = Digits()
torch.manual_seed(6)
model = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))

# %% under test
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
for x, y in DataLoader(dataset, batch_size=30, shuffle=True):
    loss = nn.functional.cross_entropy(model(x), y)
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()

model.eval()
example, label = dataset[0]
logits = model(dataset[0][0].unsqueeze(0))
pred = logits.argmax(dim=1).item()
confidence = torch.softmax(model(example.unsqueeze(0)), dim=1).max()
print(f"predicted {pred}, truth {label.item()}, confidence {confidence:.2f}")

# %%
with torch.no_grad():
    same = model(dataset[0][0].unsqueeze(0))
assert torch.allclose(same, logits, atol=1e-5)
