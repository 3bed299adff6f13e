"""nn.TransformerEncoder with padding masks and a class token."""
# results: model, losses, val_logits
# rng: shared
# atol: 0.002
# (a key bias has no gradient but for rounding, which Adam scales to whole steps)

# %%
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
PAD, CLS, V, L = 0, 1, 20, 10
tokens = torch.randint(2, V, (128, L))
lengths = torch.randint(4, L + 1, (128,))
tokens[torch.arange(L).unsqueeze(0) >= lengths.unsqueeze(1)] = PAD
labels = ((tokens == 7) | (tokens == 9)).any(1).long()
loader = DataLoader(TensorDataset(tokens, labels), batch_size=16, shuffle=True)

class TextTransformer(nn.Module):
    def __init__(self, d=16, nhead=2):
        super().__init__()
        self.emb = nn.Embedding(V, d, padding_idx=PAD)
        self.pos = nn.Parameter(torch.zeros(1, L + 1, d))
        self.cls = nn.Parameter(torch.randn(1, 1, d) * 0.02)
        layer = nn.TransformerEncoderLayer(d, nhead, dim_feedforward=32, dropout=0.1, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, num_layers=2, enable_nested_tensor=False)
        self.fc = nn.Linear(d, 2)

    def forward(self, x):
        mask = torch.cat([torch.zeros(x.size(0), 1, dtype=torch.bool), x == PAD], dim=1)
        h = torch.cat([self.cls.expand(x.size(0), -1, -1), self.emb(x)], dim=1) + self.pos
        h = self.encoder(h, src_key_padding_mask=mask)
        return self.fc(h[:, 0])

model = TextTransformer()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
criterion = nn.CrossEntropyLoss()

# %% under test
losses = []
for epoch in range(2):
    model.train()
    for batch in loader:
        x, y = batch
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
model.eval()
with torch.no_grad():
    val_logits = model(tokens[:16])
print(losses[-1], (val_logits.argmax(1) == labels[:16]).float().mean())
