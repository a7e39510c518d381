"""Majority of three early bits after 120 further steps, tanh RNN with orthogonal recurrent matrix."""
import torch
from torch import nn

torch.manual_seed(23)
T, H = 120, 64
rnn = nn.RNN(2, H, batch_first=True)
nn.init.orthogonal_(rnn.weight_hh_l0)
nn.init.normal_(rnn.weight_ih_l0, std=0.2)
nn.init.zeros_(rnn.bias_hh_l0)
nn.init.zeros_(rnn.bias_ih_l0)
out = nn.Linear(H, 1)
opt = torch.optim.RMSprop([*rnn.parameters(), *out.parameters()], lr=1e-3)
sched = torch.optim.lr_scheduler.LinearLR(opt, 1.0, 0.2, total_iters=350)


def bits(n):
    b = torch.randint(0, 2, (n, 3)).float() * 2 - 1
    x = torch.zeros(n, T, 2)
    x[:, :3, 0] = b
    x[:, 3:, 1] = 0.05 * torch.randn(n, T - 3)
    return x, (b.sum(1) > 0).float()


avg = 0.7
for step in range(350):
    x, y = bits(32)
    loss = nn.functional.binary_cross_entropy_with_logits(out(rnn(x)[0][:, -1]).squeeze(1), y)
    opt.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(rnn.parameters(), 1.0)
    opt.step()
    sched.step()
    avg = 0.95 * avg + 0.05 * loss.item()
    if step % 50 == 0:
        print(step, round(loss.item(), 4), round(avg, 4))
print("final loss", avg)
