"""An IterableDataset streams its samples; islice limits them."""
# results: model, losses, count

# %%
import itertools
import torch
from torch.utils.data import IterableDataset, DataLoader

class Stream(IterableDataset):
    def __init__(self, seed):
        super().__init__()
        self.seed = seed

    def __iter__(self):
        g = torch.Generator().manual_seed(self.seed)
        while True:
            x = torch.randn(4, generator=g)
            yield x, (x.sum() > 0).float()

torch.manual_seed(0)
loader = DataLoader(Stream(5), batch_size=16)
model = torch.nn.Linear(4, 1)
opt = torch.optim.SGD(model.parameters(), lr=0.5)

# %% under test
losses, count = [], 0
for x, y in itertools.islice(loader, 25):
    p = torch.sigmoid(model(x)).view(-1)
    loss = torch.nn.functional.binary_cross_entropy(p, y)
    opt.zero_grad()
    loss.backward()
    opt.step()
    losses.append(loss.item())
    count += y.numel()
print(count, losses[-1])
