"""Deep Q-learning on a toy walk: replay deque, target net, epsilon-greedy."""
# results: policy_net, target_net, memory, rewards

# %%
import random
from collections import deque, namedtuple
import torch
import torch.nn as nn
import torch.nn.functional as F

Transition = namedtuple("Transition", ("state", "action", "next_state", "reward"))

class ReplayMemory:
    def __init__(self, capacity):
        self.memory = deque([], maxlen=capacity)

    def push(self, *args):
        self.memory.append(Transition(*args))

    def sample(self, n):
        return random.sample(self.memory, n)

    def __len__(self):
        return len(self.memory)

class Walk:
    """Five cells, the prize is at the right end."""
    def reset(self):
        self.pos = 2
        return self._obs()
    def _obs(self):
        return [float(i == self.pos) for i in range(5)]
    def step(self, a):
        self.pos += 1 if a == 1 else -1
        done = self.pos in (0, 4)
        return self._obs(), float(self.pos == 4), done

# %%
random.seed(0)
torch.manual_seed(0)
policy_net = nn.Sequential(nn.Linear(5, 16), nn.ReLU(), nn.Linear(16, 2))
target_net = nn.Sequential(nn.Linear(5, 16), nn.ReLU(), nn.Linear(16, 2))
target_net.load_state_dict(policy_net.state_dict())
optimizer = torch.optim.AdamW(policy_net.parameters(), lr=1e-2, amsgrad=True)
memory = ReplayMemory(60)
env = Walk()
GAMMA, TAU, BATCH = 0.9, 0.05, 8

# some random play first
s = torch.tensor(env.reset()).unsqueeze(0)
for _ in range(6):
    a = torch.tensor([[random.randrange(2)]])
    obs, r, done = env.step(a.item())
    s2 = None if done else torch.tensor(obs).unsqueeze(0)
    memory.push(s, a, s2, torch.tensor([r]))
    s = torch.tensor(env.reset()).unsqueeze(0) if done else s2

# %% under test
def select_action(state, eps):
    if random.random() > eps:
        with torch.no_grad():
            return policy_net(state).max(1).indices.view(1, 1)
    return torch.tensor([[random.randrange(2)]], dtype=torch.long)

def optimize_model():
    if len(memory) < BATCH:
        return
    batch = Transition(*zip(*memory.sample(BATCH)))
    non_final_mask = torch.tensor(tuple(map(lambda s: s is not None, batch.next_state)), dtype=torch.bool)
    non_final_next_states = torch.cat([s for s in batch.next_state if s is not None])
    state_batch = torch.cat(batch.state)
    action_batch = torch.cat(batch.action)
    reward_batch = torch.cat(batch.reward)
    q = policy_net(state_batch).gather(1, action_batch)
    next_values = torch.zeros(BATCH)
    with torch.no_grad():
        next_values[non_final_mask] = target_net(non_final_next_states).max(1).values
    expected = (next_values * GAMMA) + reward_batch
    loss = F.smooth_l1_loss(q, expected.unsqueeze(1))
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_value_(policy_net.parameters(), 100)
    optimizer.step()

rewards = []
for episode in range(8):
    state = torch.tensor(env.reset(), dtype=torch.float32).unsqueeze(0)
    total = 0
    for t in range(12):
        action = select_action(state, eps=max(0.1, 0.9 - 0.1 * episode))
        observation, reward, done = env.step(action.item())
        total += reward
        reward = torch.tensor([reward])
        next_state = None if done else torch.tensor(observation, dtype=torch.float32).unsqueeze(0)
        memory.push(state, action, next_state, reward)
        state = next_state
        optimize_model()
        target_sd, policy_sd = target_net.state_dict(), policy_net.state_dict()
        for key in policy_sd:
            target_sd[key] = policy_sd[key] * TAU + target_sd[key] * (1 - TAU)
        target_net.load_state_dict(target_sd)
        if done:
            break
    rewards.append(total)
print(rewards)

# %%
states = torch.cat([m.state for m in memory.memory])
print(states.mean(0).numpy(), policy_net(states).max(1).values.mean())
