"""Gradients with respect to the input: FGSM on a trained model, and a saliency map."""
# results: adv_examples, accs, saliency, model

# %%
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, TensorDataset

d = load_digits()
X = torch.tensor(d.data, dtype=torch.float32)[:500] / 16
y = torch.tensor(d.target)[:500]
torch.manual_seed(0)
model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
opt = torch.optim.Adam(model.parameters(), lr=0.01)
for i in range(30):
    opt.zero_grad(); F.cross_entropy(model(X), y).backward(); opt.step()
test_loader = DataLoader(TensorDataset(X, y), batch_size=25)

# %% under test
model.eval()
accs, adv_examples = {}, {}
for eps in [0, .05, .15]:
    correct = 0
    for data, target in test_loader:
        data.requires_grad = True
        output = model(data)
        loss = F.nll_loss(F.log_softmax(output, 1), target)
        model.zero_grad()
        loss.backward()
        perturbed = torch.clamp(data + eps * data.grad.data.sign(), 0, 1)
        final_pred = model(perturbed).max(1, keepdim=True)[1]
        correct += (final_pred.squeeze() == target).sum().item()
    accs[eps] = correct / len(X)
    adv_examples[eps] = perturbed.squeeze().detach().numpy()[:2]

img = X[:1].clone().requires_grad_()
score = model(img)[0, y[0]]
score.backward()
saliency = img.grad.abs().view(8, 8)
print(accs)

# %%
print(saliency.numpy().max(), adv_examples[.15].shape)
