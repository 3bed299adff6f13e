"""A trained teacher in eval mode teaches a student; temperature softened targets."""
# results: student, teacher, losses, agreement

# %%
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
d = load_digits()
X = torch.tensor(d.data[:600], dtype=torch.float32) / 16
y = torch.tensor(d.target[:600])
dl = DataLoader(TensorDataset(X, y), batch_size=100, shuffle=True)
teacher = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
opt_t = torch.optim.Adam(teacher.parameters(), lr=0.01)
for _ in range(2):
    for xb, yb in dl:
        opt_t.zero_grad(); F.cross_entropy(teacher(xb), yb).backward(); opt_t.step()
student = nn.Linear(64, 10)

# %% under test
teacher.eval()
for p in teacher.parameters():
    p.requires_grad_(False)
optimizer = torch.optim.Adam(student.parameters(), lr=0.01)
T, alpha = 4.0, 0.7
losses = []
for epoch in range(3):
    for xb, yb in dl:
        with torch.no_grad():
            t_logits = teacher(xb)
        s_logits = student(xb)
        soft = F.kl_div(F.log_softmax(s_logits / T, -1), F.softmax(t_logits / T, -1), reduction="batchmean") * T * T
        hard = F.cross_entropy(s_logits, yb)
        loss = alpha * soft + (1 - alpha) * hard
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
agreement = (student(X).argmax(1) == teacher(X).argmax(1)).float().mean().item()
agreement

# %%
assert not any(p.requires_grad for p in teacher.parameters())
