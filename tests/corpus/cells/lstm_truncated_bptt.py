"""An LSTM carries its hidden state from batch to batch, detached each time."""
# results: model, opt, losses, hidden

# %%
import torch
import torch.nn as nn

torch.manual_seed(0)
t = torch.arange(0, 400).float()
series = torch.sin(t / 8) + 0.3 * torch.cos(t / 3)
seq_len = 20

class SeriesLSTM(nn.Module):
    def __init__(self, hidden_size=16, num_layers=2):
        super().__init__()
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.lstm = nn.LSTM(1, hidden_size, num_layers, batch_first=True)
        self.fc = nn.Linear(hidden_size, 1)

    def init_hidden(self, batch):
        return (torch.zeros(self.num_layers, batch, self.hidden_size),
                torch.zeros(self.num_layers, batch, self.hidden_size))

    def forward(self, x, hidden):
        out, hidden = self.lstm(x, hidden)
        return self.fc(out), hidden

model = SeriesLSTM()
opt = torch.optim.Adam(model.parameters(), lr=5e-3)
criterion = nn.MSELoss()

# %% under test
losses = []
for epoch in range(2):
    hidden = model.init_hidden(1)
    for i in range(0, len(series) - seq_len - 1, seq_len):
        x = series[i:i + seq_len].view(1, -1, 1)
        y = series[i + 1:i + seq_len + 1].view(1, -1, 1)
        hidden = tuple(h.detach() for h in hidden)    # truncated BPTT
        out, hidden = model(x, hidden)
        loss = criterion(out, y)
        opt.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        opt.step()
        losses.append(loss.item())
print(losses[-1])

# %% continue the series with the last hidden state
model.eval()
with torch.no_grad():
    x = series[-1:].view(1, 1, 1)
    for _ in range(5):
        x, hidden = model(x, hidden)
print(x)
