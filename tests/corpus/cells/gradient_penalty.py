"""WGAN-GP: autograd.grad of the critic at interpolated points, second order."""
# results: critic, gen, critic_losses, penalties

# %%
import torch
import torch.nn as nn

torch.manual_seed(2)
real_all = torch.randn(128, 3) * 0.5 + 1
gen = nn.Sequential(nn.Linear(2, 12), nn.ReLU(), nn.Linear(12, 3))
critic = nn.Sequential(nn.Linear(3, 12), nn.LeakyReLU(), nn.Linear(12, 1))
opt_g = torch.optim.Adam(gen.parameters(), lr=1e-3)
opt_c = torch.optim.Adam(critic.parameters(), lr=1e-3)

def gradient_penalty(critic, real, fake):
    alpha = torch.rand(real.size(0), 1)
    inter = (alpha * real + (1 - alpha) * fake).requires_grad_(True)
    scores = critic(inter)
    g = torch.autograd.grad(outputs=scores, inputs=inter, grad_outputs=torch.ones_like(scores),
                            create_graph=True, retain_graph=True)[0]
    return ((g.norm(2, dim=1) - 1) ** 2).mean()

# %% under test
critic_losses, penalties = [], []
for epoch in range(3):
    for real in real_all.split(32):
        z = torch.randn(real.shape[0], 2)
        fake = gen(z).detach()
        gp = gradient_penalty(critic, real, fake)
        c_loss = critic(fake).mean() - critic(real).mean() + 10 * gp
        opt_c.zero_grad(); c_loss.backward(); opt_c.step()
        critic_losses.append(c_loss.item()); penalties.append(gp.item())
    g_loss = -critic(gen(torch.randn(32, 2))).mean()
    opt_g.zero_grad(); g_loss.backward(); opt_g.step()
print(critic_losses[-1], penalties[-1])
