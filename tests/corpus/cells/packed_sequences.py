"""Embedding, padded batches and packed sequences through a bidirectional LSTM."""
# results: model, losses, predictions

# %%
import torch
from torch import nn
from torch.nn.utils.rnn import pad_sequence, pack_padded_sequence, pad_packed_sequence
from torch.utils.data import Dataset, DataLoader

reviews = [("good movie really good", 1), ("bad plot", 0), ("i loved it", 1), ("awful", 0),
           ("not good at all bad", 0), ("great great great fun", 1), ("boring and bad", 0), ("so good", 1)] * 6
vocab = {"<pad>": 0}
for text, _ in reviews:
    for w in text.split():
        vocab.setdefault(w, len(vocab))

class ReviewDataset(Dataset):
    def __len__(self):
        return len(reviews)
    def __getitem__(self, i):
        text, label = reviews[i]
        return torch.tensor([vocab[w] for w in text.split()]), label

def collate(batch):
    seqs, labels = zip(*batch)
    lengths = torch.tensor([len(s) for s in seqs])
    return pad_sequence(seqs, batch_first=True), lengths, torch.tensor(labels, dtype=torch.float)

class Sentiment(nn.Module):
    def __init__(self, n_words):
        super().__init__()
        self.emb = nn.Embedding(n_words, 12, padding_idx=0)
        self.lstm = nn.LSTM(12, 10, batch_first=True, bidirectional=True)
        self.fc = nn.Linear(20, 1)

    def forward(self, x, lengths):
        packed = pack_padded_sequence(self.emb(x), lengths, batch_first=True, enforce_sorted=False)
        out, (h, c) = self.lstm(packed)
        out, out_lengths = pad_packed_sequence(out, batch_first=True)
        return self.fc(torch.cat([h[-2], h[-1]], dim=1)).squeeze(1)

torch.manual_seed(0)
loader = DataLoader(ReviewDataset(), batch_size=8, shuffle=True, collate_fn=collate)
model = Sentiment(len(vocab))
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
criterion = nn.BCEWithLogitsLoss()

# %% under test
losses = []
for epoch in range(3):
    for x, lengths, y in loader:
        loss = criterion(model(x, lengths), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())

model.eval()
predictions = []
with torch.no_grad():
    for x, lengths, y in loader:
        predictions += torch.sigmoid(model(x, lengths)).tolist()
print(losses[-1], len(predictions))
