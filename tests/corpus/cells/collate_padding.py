"""A collate_fn pads, makes a mask and keeps plain Python values beside the tensors."""
# results: model, losses, texts

# %%
import torch
import torch.nn as nn
from torch.utils.data import DataLoader

sents = ["a b c", "b c", "c", "a a a a", "d b", "d d a c", "b", "a d"] * 5
data = [(s, sum(ord(c) for c in s) % 2) for s in sents]
stoi = {c: i + 1 for i, c in enumerate("abcd")}

def collate_fn(batch):
    ids = [[stoi[t] for t in s.split()] for s, _ in batch]
    max_len = max(map(len, ids))
    padded = torch.zeros(len(ids), max_len, dtype=torch.long)
    mask = torch.zeros(len(ids), max_len, dtype=torch.bool)
    for i, seq in enumerate(ids):
        padded[i, :len(seq)] = torch.tensor(seq)
        mask[i, :len(seq)] = True
    return {
        "input_ids": padded,
        "mask": mask,
        "labels": torch.tensor([y for _, y in batch]),
        "lengths": [len(s) for s in ids],
        "text": [s for s, _ in batch],
    }

class BagOfWords(nn.Module):
    def __init__(self):
        super().__init__()
        self.emb = nn.Embedding(5, 8, padding_idx=0)
        self.fc = nn.Linear(8, 2)

    def forward(self, input_ids, mask):
        e = self.emb(input_ids) * mask.unsqueeze(-1)
        return self.fc(e.sum(1) / mask.sum(1, keepdim=True))

torch.manual_seed(0)
loader = DataLoader(data, batch_size=8, shuffle=True, collate_fn=collate_fn)
model = BagOfWords()
optimizer = torch.optim.Adam(model.parameters(), lr=0.05)

# %% under test
losses, texts = [], []
for epoch in range(3):
    for batch in loader:
        out = model(batch["input_ids"], batch["mask"])
        loss = nn.functional.cross_entropy(out, batch["labels"], reduction="none")
        weights = torch.tensor(batch["lengths"], dtype=torch.float32)
        loss = (loss * weights).sum() / weights.sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        texts.append(batch["text"][0])
print(losses[-1])
