"""REINFORCE: torch.distributions.Categorical, saved log-probs, discounted returns."""
# results: policy, optimizer, episode_rewards, last_returns
# rng: shared

# %%
import torch
import torch.nn as nn
from torch.distributions import Categorical

class Corridor:
    def reset(self):
        self.x, self.t = 0, 0
        return [self.x / 5, self.t / 10]
    def step(self, a):
        self.x += 1 if a == 1 else -1
        self.t += 1
        return [self.x / 5, self.t / 10], (1.0 if self.x >= 3 else -0.05), self.x >= 3 or self.t >= 10

class Policy(nn.Module):
    def __init__(self):
        super().__init__()
        self.affine = nn.Linear(2, 16)
        self.head = nn.Linear(16, 2)
        self.saved_log_probs = []
        self.rewards = []

    def forward(self, x):
        return torch.softmax(self.head(torch.relu(self.affine(x))), dim=-1)

torch.manual_seed(0)
policy = Policy()
optimizer = torch.optim.Adam(policy.parameters(), lr=0.02)
env = Corridor()

# %% under test
episode_rewards = []
for episode in range(8):
    state, done = env.reset(), False
    while not done:
        probs = policy(torch.tensor(state).unsqueeze(0))
        m = Categorical(probs)
        action = m.sample()
        policy.saved_log_probs.append(m.log_prob(action))
        state, reward, done = env.step(action.item())
        policy.rewards.append(reward)
    R, returns = 0, []
    for r in policy.rewards[::-1]:
        R = r + 0.95 * R
        returns.insert(0, R)
    returns = torch.tensor(returns)
    returns = (returns - returns.mean()) / (returns.std() + 1e-6)
    policy_loss = [-lp * R for lp, R in zip(policy.saved_log_probs, returns)]
    optimizer.zero_grad()
    torch.cat(policy_loss).sum().backward()
    optimizer.step()
    episode_rewards.append(sum(policy.rewards))
    last_returns = returns
    del policy.rewards[:]
    del policy.saved_log_probs[:]
episode_rewards
