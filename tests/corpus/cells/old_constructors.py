"""Old style: FloatTensor, Tensor(list), Variable, .type(...) casts."""
# results: net, epoch_loss, acc

# %%
import numpy as np
import torch
from torch.autograd import Variable
import torch.nn.functional as F
from sklearn import datasets

iris = datasets.load_iris()
perm = np.random.RandomState(5).permutation(150)
data, target = iris.data[perm], iris.target[perm]

class Net(torch.nn.Module):
    def __init__(self):
        super(Net, self).__init__()
        self.h = torch.nn.Linear(4, 20)
        self.o = torch.nn.Linear(20, 3)

    def forward(self, x):
        return self.o(F.relu(self.h(x)))

torch.manual_seed(0)
net = Net()
optimizer = torch.optim.SGD(net.parameters(), lr=0.02)
loss_func = torch.nn.CrossEntropyLoss()

# %% under test
X = Variable(torch.FloatTensor(data[:120]))
Y = Variable(torch.LongTensor(target[:120]))
scale = torch.Tensor([1.0, 1.0, 0.5, 0.5])
Xt = torch.Tensor(data[120:].tolist()) * scale
Yt = torch.from_numpy(target[120:]).type(torch.LongTensor)
epoch_loss = []
for t in range(40):
    out = net(X * scale)
    loss = loss_func(out, Y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    epoch_loss.append(float(loss.data))
pred = torch.max(net(Xt), 1)[1]
acc = float((pred == Yt).type(torch.FloatTensor).mean())
pred_y = pred.data.numpy()
print('Accuracy=%.2f' % acc)
print(pred_y)
