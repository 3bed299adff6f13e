"""Actor-critic with torch.distributions built from tensors of the cell; entropies stay on the object."""
# results: actor, critic, log_std, history, dist_entropy
# rng: shared

# %%
import torch
import torch.nn as nn
from torch.distributions import Normal, kl_divergence

torch.manual_seed(5)
actor = nn.Sequential(nn.Linear(3, 12), nn.Tanh(), nn.Linear(12, 1))
critic = nn.Sequential(nn.Linear(3, 12), nn.Tanh(), nn.Linear(12, 1))
log_std = nn.Parameter(torch.zeros(1))
optimizer = torch.optim.Adam([{"params": actor.parameters()}, {"params": critic.parameters(), "lr": 1e-2}, {"params": [log_std]}], lr=3e-3)
history = []

# %% under test
prior = Normal(torch.zeros(1), torch.ones(1))
for it in range(12):
    obs = torch.rand(32, 3)
    dist = Normal(actor(obs), log_std.exp())
    act = dist.sample()
    reward = -(act - obs.sum(1, keepdim=True)).abs()
    value = critic(obs)
    adv = (reward - value).detach()
    loss = (-(dist.log_prob(act) * adv).mean() + nn.functional.mse_loss(value, reward)
            - 0.01 * dist.entropy().mean() + 0.001 * kl_divergence(dist, prior).mean())
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_([*actor.parameters(), *critic.parameters(), log_std], 0.5)
    optimizer.step()
    history.append((loss.item(), reward.mean().item()))
dist_entropy = dist.entropy().mean().item()
history[-1]
