"""A language model whose head shares the embedding, with a positional buffer."""
# results: lm, losses, sample

# %%
import math
import torch
import torch.nn as nn
import torch.nn.functional as F

text = "the quick brown fox jumps over the lazy dog. " * 30
chars = sorted(set(text))
stoi = {c: i for i, c in enumerate(chars)}
itos = {i: c for c, i in stoi.items()}
data = torch.tensor([stoi[c] for c in text])
block = 16

# %%
class TinyLM(nn.Module):
    def __init__(self, vocab, dim=24):
        super().__init__()
        self.emb = nn.Embedding(vocab, dim)
        pe = torch.zeros(block, dim)
        pos = torch.arange(0, block).unsqueeze(1).float()
        div = torch.exp(torch.arange(0, dim, 2).float() * (-math.log(10000.0) / dim))
        pe[:, 0::2] = torch.sin(pos * div)
        pe[:, 1::2] = torch.cos(pos * div)
        self.register_buffer("pe", pe)
        self.mix = nn.Linear(dim, dim)
        self.head = nn.Linear(dim, vocab, bias=False)
        self.head.weight = self.emb.weight        # weight tying

    def forward(self, idx):
        h = self.emb(idx) + self.pe[: idx.size(1)]
        h = torch.cumsum(h, 1) / torch.arange(1, idx.size(1) + 1).view(1, -1, 1)
        return self.head(torch.tanh(self.mix(h)))

torch.manual_seed(1337)
lm = TinyLM(len(chars))
opt = torch.optim.Adam(lm.parameters(), lr=1e-2)

def get_batch(bs=16):
    ix = torch.randint(len(data) - block - 1, (bs,))
    xb = torch.stack([data[i:i + block] for i in ix])
    yb = torch.stack([data[i + 1:i + block + 1] for i in ix])
    return xb, yb

# %% under test
losses = []
for it in range(40):
    xb, yb = get_batch()
    logits = lm(xb)
    loss = F.cross_entropy(logits.view(-1, logits.size(-1)), yb.view(-1))
    opt.zero_grad(set_to_none=True)
    loss.backward()
    opt.step()
    losses.append(loss.item())
print(losses[0], losses[-1])

# %%
assert lm.head.weight is lm.emb.weight
idx = torch.zeros(1, 1, dtype=torch.long)
for _ in range(20):
    with torch.no_grad():
        nxt = lm(idx[:, -block:])[:, -1].argmax(-1, keepdim=True)
    idx = torch.cat([idx, nxt], 1)
sample = "".join(itos[i] for i in idx[0].tolist())
print(sample)
