"""The tutorial's name classifier: hand-made RNN, one letter at a time, manual SGD."""
# results: rnn, all_losses, confusion

# %%
import random
import string
import torch
import torch.nn as nn

all_letters = string.ascii_lowercase
names = {
    "it": ["rossi", "bianchi", "ferrari", "esposito", "romano", "colombo"],
    "de": ["schmidt", "schneider", "fischer", "weber", "wagner", "becker"],
    "cz": ["novak", "svoboda", "novotny", "dvorak", "cerny", "prochazka"],
}
all_categories = list(names)

def lineToTensor(line):
    tensor = torch.zeros(len(line), 1, len(all_letters))
    for li, letter in enumerate(line):
        tensor[li][0][all_letters.find(letter)] = 1
    return tensor

def randomTrainingExample():
    category = random.choice(all_categories)
    line = random.choice(names[category])
    category_tensor = torch.tensor([all_categories.index(category)], dtype=torch.long)
    return category, line, category_tensor, lineToTensor(line)

# %%
class RNN(nn.Module):
    def __init__(self, input_size, hidden_size, output_size):
        super(RNN, self).__init__()
        self.hidden_size = hidden_size
        self.i2h = nn.Linear(input_size + hidden_size, hidden_size)
        self.i2o = nn.Linear(input_size + hidden_size, output_size)
        self.softmax = nn.LogSoftmax(dim=1)

    def forward(self, input, hidden):
        combined = torch.cat((input, hidden), 1)
        hidden = torch.tanh(self.i2h(combined))
        output = self.softmax(self.i2o(combined))
        return output, hidden

    def initHidden(self):
        return torch.zeros(1, self.hidden_size)

random.seed(0)
torch.manual_seed(0)
rnn = RNN(len(all_letters), 32, len(all_categories))
criterion = nn.NLLLoss()
learning_rate = 0.02

def train(category_tensor, line_tensor):
    hidden = rnn.initHidden()
    rnn.zero_grad()
    for i in range(line_tensor.size()[0]):
        output, hidden = rnn(line_tensor[i], hidden)
    loss = criterion(output, category_tensor)
    loss.backward()
    # Add parameters' gradients to their values, multiplied by learning rate
    for p in rnn.parameters():
        p.data.add_(p.grad.data, alpha=-learning_rate)
    return output, loss.item()

# %% under test
all_losses = []
current_loss = 0
for iter in range(1, 41):
    category, line, category_tensor, line_tensor = randomTrainingExample()
    output, loss = train(category_tensor, line_tensor)
    current_loss += loss
    if iter % 10 == 0:
        top_n, top_i = output.topk(1)
        guess = all_categories[top_i[0].item()]
        print('%d %.4f %s / %s' % (iter, loss, line, guess))
        all_losses.append(current_loss / 10)
        current_loss = 0

# %%
confusion = torch.zeros(len(all_categories), len(all_categories))
with torch.no_grad():
    for ci, category in enumerate(all_categories):
        for line in names[category]:
            hidden = rnn.initHidden()
            for letter in lineToTensor(line):
                output, hidden = rnn(letter, hidden)
            confusion[ci][output.argmax().item()] += 1
for i in range(len(all_categories)):
    confusion[i] = confusion[i] / confusion[i].sum()
confusion.numpy()
