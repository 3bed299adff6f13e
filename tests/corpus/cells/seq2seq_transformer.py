"""nn.Transformer learns to reverse digits; masks from generate_square_subsequent_mask."""
# results: net, losses, decoded
# rng: shared
# atol: 0.02
# (a key bias has no gradient but for rounding, which Adam scales to whole steps)

# %%
import torch
import torch.nn as nn

torch.manual_seed(3)
S = 5
src_all = torch.randint(2, 10, (64, S))
tgt_all = torch.cat([torch.ones(64, 1, dtype=torch.long), src_all.flip(1)], 1)

class Reverser(nn.Module):
    def __init__(self):
        super().__init__()
        self.emb = nn.Embedding(10, 16)
        self.pos = nn.Embedding(S + 1, 16)
        self.tf = nn.Transformer(16, 2, 1, 1, 32, dropout=0.05, batch_first=True)
        self.out = nn.Linear(16, 10)

    def embed(self, t):
        return self.emb(t) + self.pos(torch.arange(t.shape[1]))[None]

    def forward(self, src, tgt):
        tgt_mask = nn.Transformer.generate_square_subsequent_mask(tgt.size(1))
        return self.out(self.tf(self.embed(src), self.embed(tgt), tgt_mask=tgt_mask))

net = Reverser()
opt = torch.optim.Adam(net.parameters(), lr=5e-3)

# %% under test
losses = []
for it in range(10):
    for src, tgt in zip(src_all.chunk(4), tgt_all.chunk(4)):
        logits = net(src, tgt[:, :-1])
        loss = nn.functional.cross_entropy(logits.reshape(-1, 10), tgt[:, 1:].reshape(-1))
        opt.zero_grad(); loss.backward(); opt.step()
    losses.append(loss.item())

net.eval()
decoded = torch.ones(4, 1, dtype=torch.long)
with torch.no_grad():
    for _ in range(S):
        nxt = net(src_all[:4], decoded)[:, -1].argmax(-1)
        decoded = torch.cat([decoded, nxt[:, None]], dim=1)
print(losses[::3], decoded)
