"""Recommendation: two embeddings, biases, ids looked up in dicts, top-k at the end."""
# results: mf, rmse, top_items

# %%
import random
import torch
from torch import nn

random.seed(0)
torch.manual_seed(0)
users = [f"u{i}" for i in range(20)]
items = [f"film {i}" for i in range(15)]
ratings = [(random.choice(users), random.choice(items), random.randint(1, 5)) for _ in range(200)]
uid = {u: i for i, u in enumerate(users)}
iid = {m: i for i, m in enumerate(items)}
user_ids = torch.LongTensor([uid[u] for u, _, _ in ratings])
item_ids = torch.LongTensor([iid[m] for _, m, _ in ratings])
scores = torch.FloatTensor([r for _, _, r in ratings])

class MF(nn.Module):
    def __init__(self, n_users, n_items, k=6):
        super().__init__()
        self.U = nn.Embedding(n_users, k)
        self.V = nn.Embedding(n_items, k)
        self.bu, self.bi = nn.Embedding(n_users, 1), nn.Embedding(n_items, 1)
        self.mu = scores.mean()
        for e in (self.U, self.V):
            nn.init.normal_(e.weight, std=0.1)

    def forward(self, u, i):
        return self.mu + (self.U(u) * self.V(i)).sum(1) + self.bu(u).squeeze(1) + self.bi(i).squeeze(1)

mf = MF(len(users), len(items))
opt = torch.optim.Adam(mf.parameters(), lr=0.02)

# %% under test
rmse = []
for epoch in range(4):
    for idx in torch.randperm(len(ratings)).chunk(5):
        loss = nn.functional.mse_loss(mf(user_ids[idx], item_ids[idx]), scores[idx])
        opt.zero_grad()
        loss.backward()
        opt.step()
    with torch.no_grad():
        rmse.append(torch.sqrt(nn.functional.mse_loss(mf(user_ids, item_ids), scores)).item())

def recommend(user, k=3):
    u = torch.tensor([uid[user]] * len(items))
    with torch.no_grad():
        s = mf(u, torch.arange(len(items)))
    return [items[i] for i in s.topk(k).indices.tolist()]

top_items = {u: recommend(u) for u in users[:4]}
print(rmse, top_items)

# %%
print(recommend("u7"))
