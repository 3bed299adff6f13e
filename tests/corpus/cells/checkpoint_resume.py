"""A whole checkpoint (epoch, model, optimizer, history) is written and resumed."""
# results: model, optimizer, start_epoch, history, ckpt

# %%
import os, tempfile
import torch
import torch.nn as nn

ckpt_path = os.path.join(tempfile.gettempdir(), f"ckpt_{os.getpid()}.tar")
torch.manual_seed(2)
X = torch.randn(128, 4)
y = X[:, :1] - 2 * X[:, 1:2]

def build():
    m = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
    o = torch.optim.Adam(m.parameters(), lr=0.02)
    return m, o

model, optimizer = build()
for _ in range(3):
    optimizer.zero_grad(); ((model(X) - y) ** 2).mean().backward(); optimizer.step()
torch.save({"epoch": 3, "model_state_dict": model.state_dict(),
            "optimizer_state_dict": optimizer.state_dict(), "history": []}, ckpt_path)
del model, optimizer

# %% under test
model, optimizer = build()
checkpoint = torch.load(ckpt_path)
model.load_state_dict(checkpoint["model_state_dict"])
optimizer.load_state_dict(checkpoint["optimizer_state_dict"])
start_epoch = checkpoint["epoch"]
history = checkpoint["history"]

for epoch in range(start_epoch, 12):
    optimizer.zero_grad()
    loss = ((model(X) - y) ** 2).mean()
    loss.backward()
    optimizer.step()
    history.append(loss.item())
    torch.save({
        "epoch": epoch + 1,
        "model_state_dict": model.state_dict(),
        "optimizer_state_dict": optimizer.state_dict(),
        "history": history,
        "last_loss": loss,
    }, ckpt_path)
print(history[-1])

# %%
ckpt = torch.load(ckpt_path)
os.remove(ckpt_path)
print(ckpt["epoch"], ckpt["last_loss"])
