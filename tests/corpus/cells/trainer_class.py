"""A Trainer object holds model, optimizer, loaders and metrics."""
# results: trainer.model, trainer.optimizer, trainer.history, trainer.best_loss

# %%
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset
from sklearn.datasets import load_breast_cancer

torch.manual_seed(3)
data = load_breast_cancer()
X = torch.tensor(data.data, dtype=torch.float32)
X = (X - X.mean(0)) / X.std(0)
y = torch.tensor(data.target, dtype=torch.float32).unsqueeze(1)

# %%
class Trainer:
    """Trains a binary classifier."""

    def __init__(self, model, lr=1e-3, batch_size=64):
        self.model = model
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=1e-2)
        self.scheduler = torch.optim.lr_scheduler.StepLR(self.optimizer, 2, gamma=0.5)
        self.batch_size = batch_size
        self.history = {"loss": [], "acc": [], "lr": []}
        self.best_loss = float("inf")
        self.pos_weight = torch.tensor([0.7])

    def make_loader(self, X, y, shuffle=True):
        return DataLoader(TensorDataset(X, y), self.batch_size, shuffle=shuffle)

    def step(self, batch):
        xb, yb = batch
        logits = self.model(xb)
        loss = F.binary_cross_entropy_with_logits(logits, yb, pos_weight=self.pos_weight)
        acc = ((logits > 0).float() == yb).float().mean()
        return loss, acc

    def fit(self, X, y, epochs):
        loader = self.make_loader(X, y)
        for _ in range(epochs):
            losses, accs = [], []
            for batch in loader:
                loss, acc = self.step(batch)
                self.optimizer.zero_grad(set_to_none=True)
                loss.backward()
                self.optimizer.step()
                losses.append(loss.detach())
                accs.append(acc)
            self.scheduler.step()
            self.history["loss"].append(torch.stack(losses).mean().item())
            self.history["acc"].append(torch.stack(accs).mean().item())
            self.history["lr"].append(self.scheduler.get_last_lr()[0])
            self.best_loss = min(self.best_loss, self.history["loss"][-1])
        return self

    @torch.inference_mode()
    def predict(self, X):
        self.model.eval()
        return torch.sigmoid(self.model(X))

trainer = Trainer(nn.Sequential(nn.Linear(30, 32), nn.GELU(), nn.Linear(32, 1)))

# %% under test
trainer.fit(X, y, epochs=4)
print(trainer.history)

# %%
probs = trainer.predict(X)
print("accuracy", ((probs > 0.5).float() == y).float().mean().item())
