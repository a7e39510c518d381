"""A controller net with squashed layers that imitates a bounded steering policy.

Cause: saturation
Fails: stuck near its start, 1.14 after 1.40
"""
import torch


class Squash(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, slope):
        y = torch.tanh(slope * x)
        ctx.save_for_backward(y)
        ctx.slope = slope
        return y

    @staticmethod
    def backward(ctx, g):
        (y,) = ctx.saved_tensors
        return g * (1 - y * y) * ctx.slope, None


SLOPE = 500.0  # fix: SLOPE = 1.0


class Controller(torch.nn.Module):
    def __init__(self, n_obs, width, n_act):
        super().__init__()
        self.lin = torch.nn.ModuleList([
            torch.nn.Linear(n_obs, width),
            torch.nn.Linear(width, width),
            torch.nn.Linear(width, n_act),
        ])

    def forward(self, obs):
        for layer in self.lin:
            obs = Squash.apply(layer(obs), SLOPE)
        return obs


torch.manual_seed(50)
teacher = torch.randn(5, 2) * 0.6
model = Controller(5, 40, 2)
opt = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
mean = None
for step in range(1800):
    obs = torch.randn(64, 5)
    want = 0.8 * torch.sin(obs @ teacher)
    loss = (model(obs) - want).square().mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    mean = loss.item() if mean is None else 0.98 * mean + 0.02 * loss.item()
print("final loss", mean)
