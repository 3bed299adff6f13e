"""A graph convolution with a normalised adjacency and masks of an earlier cell."""
# results: gcn, adj, losses, val_acc

# %%
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

rng = np.random.RandomState(0)
n = 60
labels_np = rng.randint(0, 3, n)
A = (rng.rand(n, n) < np.where(labels_np[:, None] == labels_np[None], 0.3, 0.03)).astype(float)
A = np.maximum(A, A.T) + np.eye(n)
D = np.diag(A.sum(1) ** -0.5)
adj = torch.FloatTensor(D @ A @ D)
features = torch.FloatTensor(rng.randn(n, 8) + labels_np[:, None] * 0.3)
labels = torch.LongTensor(labels_np)
idx_train, idx_val = torch.arange(0, 40), torch.arange(40, 60)

class GraphConvolution(nn.Module):
    def __init__(self, fin, fout):
        super().__init__()
        self.weight = nn.Parameter(torch.FloatTensor(fin, fout))
        self.bias = nn.Parameter(torch.FloatTensor(fout))
        self.reset_parameters()
    def reset_parameters(self):
        stdv = 1.0 / self.weight.size(1) ** 0.5
        self.weight.data.uniform_(-stdv, stdv)
        self.bias.data.uniform_(-stdv, stdv)
    def forward(self, x, adj):
        return torch.mm(adj, torch.mm(x, self.weight)) + self.bias

class GCN(nn.Module):
    def __init__(self):
        super().__init__()
        self.gc1 = GraphConvolution(8, 12)
        self.gc2 = GraphConvolution(12, 3)
    def forward(self, x, adj):
        return F.log_softmax(self.gc2(F.relu(self.gc1(x, adj)), adj), dim=1)

torch.manual_seed(42)
gcn = GCN()
optimizer = torch.optim.Adam(gcn.parameters(), lr=0.02, weight_decay=5e-4)

# %% under test
losses = []
for epoch in range(25):
    gcn.train()
    optimizer.zero_grad()
    output = gcn(features, adj)
    loss_train = F.nll_loss(output[idx_train], labels[idx_train])
    loss_train.backward()
    optimizer.step()
    gcn.eval()
    output = gcn(features, adj)
    preds = output[idx_val].max(1)[1].type_as(labels)
    val_acc = preds.eq(labels[idx_val]).double().sum() / len(idx_val)
    losses.append(loss_train.item())
print('loss: {:.4f}'.format(losses[-1]), 'acc: {:.4f}'.format(val_acc.item()))
