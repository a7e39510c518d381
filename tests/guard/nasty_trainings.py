"""Sound trainings that look ill: jumps, plateaus, losses below zero or near it, rates from zero, gradients of zero.

Each is written as a user would write it, takes half a second or so, and calls `watch(model, optimizer, ...)` once it
has made them. It says itself whether it is what it claims to be (`Nasty.proof`), and ends well without any help.
"""

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import fmean

import torch
from torch import Tensor, nn
from torch.distributions import Categorical
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy
from torch.optim import Optimizer
from torch.optim import lr_scheduler as schedulers

from tests.guard.faulty_trainings import Conv, Lstm, Transformer, batches

Watch = Callable[..., None]
"""Called with the model (None for several) and its optimizers."""


@dataclass
class Nasty:
    """What a training left behind; `proof` tells whether it was as nasty as its name, and sound at the end."""

    models: Sequence[nn.Module]
    losses: list[float]
    proof: bool
    final: float = math.nan
    state: dict[str, Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if math.isnan(self.final):
            self.final = fmean(self.losses[-20:])
        for place, model in enumerate(self.models):
            self.state |= {f"{place}.{name}": value.clone() for name, value in model.state_dict().items()}


NASTY: dict[str, Callable[[Watch], Nasty]] = {}
"""All of them, by name."""


def nasty(script: Callable[[Watch], Nasty]) -> Callable[[Watch], Nasty]:
    """Enter a training into the list."""
    NASTY[script.__name__] = script
    return script


def descend(optimizer: Optimizer, loss: Tensor) -> float:
    """One step down."""
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


def mlp(*widths: int, activation: type[nn.Module] = nn.ReLU) -> nn.Sequential:
    """Linear layers with an activation between them."""
    layers: list[nn.Module] = []
    for inner, outer in pairwise(widths):
        layers += [nn.Linear(inner, outer), activation()]
    return nn.Sequential(*layers[:-1])


def letters(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches of the made-up language."""
    return zip(*batches("transformer", seed), strict=True)


def images(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches of the noisy templates."""
    return zip(*batches("conv", seed), strict=True)


def letter_loss(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Of all letters of a batch."""
    return cross_entropy(model(x).flatten(0, 1), y.flatten())


def down(losses: Sequence[float], share: float = 0.9) -> bool:
    """Whether a training has learned something."""
    return fmean(losses[-20:]) < share * fmean(losses[:5])


# The learning rate moves.


@nasty
def warm_up_from_zero(watch: Watch) -> Nasty:
    """The first step has a rate of exactly 0."""
    model = Transformer()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.02)
    watch(model, optimizer)
    scheduler = schedulers.LambdaLR(optimizer, lambda step: min(1.0, step / 100))
    losses = []
    for x, y in letters():
        losses.append(descend(optimizer, letter_loss(model, x, y)))
        scheduler.step()
    return Nasty([model], losses, down(losses, 0.7))


@nasty
def warm_restarts(watch: Watch) -> Nasty:
    """Cosine down to a rate of 0 and up again at once, seven times: the loss jumps with it."""
    model = Conv()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    watch(model, optimizer)
    scheduler = schedulers.CosineAnnealingWarmRestarts(optimizer, T_0=50, eta_min=0.0)
    losses, rates = [], []
    for x, y in images():
        rates.append(optimizer.param_groups[0]["lr"])
        losses.append(descend(optimizer, cross_entropy(model(x), y)))
        scheduler.step()
    return Nasty([model], losses, down(losses) and min(rates) < 1e-3 * max(rates))


@nasty
def one_cycle(watch: Watch) -> Nasty:
    """The rate rises to thirty times its start, and the momentum goes the other way."""
    model = Conv()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    watch(model, optimizer)
    scheduler = schedulers.OneCycleLR(optimizer, max_lr=0.15, total_steps=361, div_factor=30)
    losses = []
    for x, y in images():
        losses.append(descend(optimizer, cross_entropy(model(x), y)))
        scheduler.step()
    return Nasty([model], losses, down(losses, 0.7))


# The data are noisy, rare or change.


@nasty
def batches_of_one(watch: Watch) -> Nasty:
    """Every step sees one sequence: losses from step to step differ tenfold."""
    model = Lstm()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
    watch(model, optimizer)
    xs, ys = batches("lstm", 0)
    losses = [
        descend(optimizer, (model(x[:1]) - y[:1]).square().mean()) for x, y in zip(xs, ys, strict=True)
    ]  # fmt: skip
    return Nasty([model], losses, down(losses) and max(losses[50:]) > 8 * min(losses[50:]))


@nasty
def batches_of_two_images(watch: Watch) -> Nasty:
    """Batch norm over two images, and a loss that is near 0 or large."""
    model = Conv()
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    watch(model, optimizer)
    losses = [descend(optimizer, cross_entropy(model(2 * x[:2]), y[:2])) for x, y in images()]
    final = fmean(losses[-100:])
    return Nasty([model], losses, final < 0.95 * losses[0] and max(losses[50:]) > 8 * min(losses[50:]), final=final)


@nasty
def sparse_reward(watch: Watch) -> Nasty:
    """REINFORCE where one action of sixteen pays: most gradients are exactly 0, and each that is not is a surprise."""
    model = mlp(4, 16, 16, activation=nn.Tanh)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    watch(model, optimizer)
    losses, rewards = [], []
    for _ in range(600):
        policy = Categorical(logits=model(torch.ones(4)))
        action = policy.sample()
        rewards.append(float(action == 3))
        losses.append(descend(optimizer, -rewards[-1] * policy.log_prob(action)))
    # Told is the share of failures, plus 1: it may be none.
    return Nasty(
        [model], losses, fmean(rewards[:50]) < 0.3 < 0.8 < fmean(rewards[-50:]), final=2 - fmean(rewards[-50:])
    )


@nasty
def longer_sequences(watch: Watch) -> Nasty:
    """A curriculum: the sequences are four times as long from one step to the next, and their loss is higher."""
    model = Lstm()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    watch(model, optimizer)
    xs, ys = batches("lstm", 0)
    losses = []
    for step, (x, y) in enumerate(zip(xs, ys, strict=True)):
        time = 3 if step < 150 else 12
        losses.append(descend(optimizer, (model(x[:, :time]) - y[:, :time]).square().sum(dim=1).mean()))
    return Nasty([model], losses, min(losses[150:160]) > 2 * max(losses[140:150]))


@nasty
def harder_data(watch: Watch) -> Nasty:
    """A curriculum: from one step on most of an image is noise. The loss jumps, stays up and falls slowly."""
    model = Conv()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.03, momentum=0.9)
    watch(model, optimizer)
    losses = []
    for step, (x, y) in enumerate(images()):
        templates = 3.0 * batches("conv", 1)[0][0][y % 6]
        losses.append(descend(optimizer, cross_entropy(model((templates if step < 150 else 0.2 * templates) + x), y)))
    return Nasty([model], losses, fmean(losses[150:170]) > 5 * fmean(losses[130:150]) and fmean(losses[-20:]) < 1.8)


@nasty
def a_new_task(watch: Watch) -> Nasty:
    """Continual learning: the letters mean others from one step on, and the loss jumps above its start."""
    model = Transformer()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    watch(model, optimizer)
    losses = []
    for step, (x, y) in enumerate(letters()):
        losses.append(descend(optimizer, letter_loss(model, x, y if step < 200 else (y + 5) % 12)))
    return Nasty([model], losses, fmean(losses[200:203]) > 1.5 * fmean(losses[190:200]) and down(losses, 0.8))


@nasty
def label_noise(watch: Watch) -> Nasty:
    """Two labels of five are wrong."""
    model = Conv()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.03, momentum=0.9)
    watch(model, optimizer)
    losses = []
    for x, y in images():
        wrong = torch.rand(y.shape) < 0.4
        losses.append(descend(optimizer, cross_entropy(model(x), torch.where(wrong, torch.randint_like(y, 6), y))))
    return Nasty([model], losses, down(losses, 0.97) and fmean(losses[-20:]) > 1.2)


@nasty
def periodic_difficulty(watch: Watch) -> Nasty:
    """The noise of the targets swings with a period of 40 steps, and the loss with it, a hundredfold."""
    model = mlp(4, 32, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
    watch(model, optimizer)
    losses = []
    for step in range(400):
        x = torch.randn(32, 4)
        noise = 1.05 + math.sin(2 * math.pi * step / 40)
        y = x.sum(dim=1, keepdim=True) + noise * torch.randn(32, 1)
        losses.append(descend(optimizer, (model(x) - y).square().mean()))
    return Nasty([model], losses, max(losses[300:]) > 30 * min(losses[300:]), final=fmean(losses[-40:]))


@nasty
def raw_pixels(watch: Watch) -> Nasty:
    """Inputs from 0 to 255 go into a batch norm: its running variance begins at 1 and is thousands at once."""
    model = nn.Sequential(nn.BatchNorm2d(1), *Conv())
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    watch(model, optimizer)
    losses = [
        descend(optimizer, cross_entropy(model((x * 40 + 128).clamp(0, 255).round()), y)) for x, y in images()
    ]  # fmt: skip
    return Nasty([model], losses, down(losses, 0.7) and float(model[0].running_var) > 1000)


@nasty
def another_camera(watch: Watch) -> Nasty:
    """From one step on all images are ten times as bright; batch norm takes it in, and its variance is a hundredfold."""
    model = nn.Sequential(nn.BatchNorm2d(1), *Conv())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.03, momentum=0.9)
    watch(model, optimizer)
    losses, variances = [], []
    for step, (x, y) in enumerate(images()):
        losses.append(descend(optimizer, cross_entropy(model(x if step < 150 else 10 * x), y)))
        variances.append(float(model[0].running_var))
    return Nasty([model], losses, down(losses, 0.7) and variances[-1] > 50 * variances[149])


# The loss has an unusual level or shape.


@nasty
def density_below_zero(watch: Watch) -> Nasty:
    """A Gaussian with learned widths fits narrow data: the likelihood's negative logarithm goes far below 0."""
    model = mlp(2, 32, 4)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    watch(model, optimizer)
    losses = []
    for _ in range(400):
        x = torch.rand(64, 2) * 2 - 1
        y = torch.stack([x.sum(dim=1), x[:, 0] * x[:, 1]], dim=1) + 0.02 * torch.randn(64, 2)
        mean, log_width = model(x).chunk(2, dim=1)
        losses.append(descend(optimizer, (0.5 * ((y - mean) / log_width.exp()).square() + log_width).mean()))
    return Nasty([model], losses, losses[0] > 0.0 > -1.5 > fmean(losses[-20:]))


@nasty
def elbo_below_zero(watch: Watch) -> Nasty:
    """A variational autoencoder that learns the width of its noise."""
    encode, decode, log_width = mlp(8, 32, 4), mlp(2, 32, 8), nn.Parameter(torch.zeros(()))
    model = nn.ModuleDict({"encode": encode, "decode": decode})
    model.register_parameter("log_width", log_width)
    mixing = torch.randn(2, 8)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    watch(model, optimizer)
    losses = []
    for _ in range(450):
        x = torch.tanh((torch.rand(64, 2) * 2 - 1) @ mixing) + 0.02 * torch.randn(64, 8)
        mean, log_variance = encode(x).chunk(2, dim=1)
        code = mean + (0.5 * log_variance).exp() * torch.randn_like(mean)
        likelihood = 0.5 * ((x - decode(code)) / log_width.exp()).square() + log_width
        divergence = 0.5 * (mean.square() + log_variance.exp() - log_variance - 1)
        losses.append(descend(optimizer, likelihood.sum(dim=1).mean() + divergence.sum(dim=1).mean()))
    return Nasty([model], losses, losses[0] > 0.0 > fmean(losses[-20:]))


@nasty
def generator_that_loses(watch: Watch) -> Nasty:
    """A GAN with two optimizers: the discriminator wins slowly, and the generator's loss rises all the time."""
    generator, judge = mlp(4, 32, 32, 2), mlp(2, 32, 32, 1)
    first = torch.optim.Adam(generator.parameters(), lr=3e-4, betas=(0.5, 0.999))
    second = torch.optim.Adam(judge.parameters(), lr=3e-3, betas=(0.5, 0.999))
    watch(None, first, second)
    losses, ones, zeros = [], torch.ones(32, 1), torch.zeros(32, 1)
    for _ in range(250):
        angle = 2 * math.pi * torch.rand(32)
        real = 2 * torch.stack([angle.cos(), angle.sin()], dim=1) + 0.05 * torch.randn(32, 2)
        fake = generator(torch.randn(32, 4))
        loss = binary_cross_entropy_with_logits(judge(real), ones)
        descend(second, loss + binary_cross_entropy_with_logits(judge(fake.detach()), zeros))
        losses.append(descend(first, binary_cross_entropy_with_logits(judge(fake), ones)))
    return Nasty([generator, judge], losses, fmean(losses[-50:]) > 1.4 * fmean(losses[:20]))


@nasty
def tiny_losses(watch: Watch) -> Nasty:
    """Targets in small units: losses of 1e-8 and below."""
    model = mlp(4, 32, 1)
    with torch.no_grad():
        for param in model[-1].parameters():
            param.mul_(1e-3)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4, eps=1e-16)
    watch(model, optimizer)
    losses = []
    for _ in range(400):
        x = torch.randn(32, 4)
        y = 1e-4 * (x.sum(dim=1, keepdim=True) + 0.5 * torch.randn(32, 1))
        losses.append(descend(optimizer, (model(x) - y).square().mean()))
    return Nasty([model], losses, down(losses) and max(losses[-20:]) < 1e-8)


@nasty
def tiny_losses_huge_rate(watch: Watch) -> Nasty:
    """The loss is divided by 1e8, and the rate is a million to make up for it."""
    model = Lstm()
    optimizer = torch.optim.SGD(model.parameters(), lr=5e6, momentum=0.9)
    watch(model, optimizer)
    xs, ys = batches("lstm", 0)
    losses = [
        descend(optimizer, 1e-8 * (model(x) - y).square().mean()) for x, y in zip(xs, ys, strict=True)
    ]  # fmt: skip
    return Nasty([model], losses, down(losses, 0.4) and max(losses) < 1e-6)


@nasty
def losses_of_a_billion(watch: Watch) -> Nasty:
    """Prices that nobody has scaled, squares that are summed: gradients of a million are every day's."""
    model = nn.Linear(4, 1)
    optimizer = torch.optim.Adam(model.parameters(), lr=200.0)
    watch(model, optimizer)
    scheduler = schedulers.CosineAnnealingLR(optimizer, 500)
    losses = []
    for _ in range(500):
        x = torch.rand(32, 4) * 10
        y = 2000 + 300 * x.sum(dim=1, keepdim=True) + 200 * torch.randn(32, 1)
        losses.append(descend(optimizer, (model(x) - y).square().sum()))
        scheduler.step()
    return Nasty([model], losses, down(losses, 0.2) and losses[0] > 1e8, final=fmean(losses[-100:]))


@nasty
def a_penalty_that_grows(watch: Watch) -> Nasty:
    """The weight of a penalty rises twentyfold over the run, as in annealing, and the loss rises with it."""
    model = mlp(4, 32, 1)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    watch(model, optimizer)
    losses = []
    for step in range(400):
        x = torch.randn(32, 4)
        y = x.sum(dim=1, keepdim=True) + 0.3 * torch.randn(32, 1)
        out = model(x)
        losses.append(descend(optimizer, (out - y).square().mean() + 20 ** (step / 400) * out.square().mean() / 10))
    return Nasty([model], losses, fmean(losses[-40:]) > 3 * fmean(losses[80:120]))


@nasty
def values_that_pull_themselves_up(watch: Watch) -> Nasty:
    """Q-learning: values and the loss with them rise for as long as it learns, with a jump at each new target network."""
    places, discount = 8, 0.9
    model = mlp(places, 32, 1)
    target = copy.deepcopy(model)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    watch(model, optimizer)
    losses = []
    for step in range(400):
        if step % 20 == 0:
            target.load_state_dict(model.state_dict())
        place = torch.randint(places, (32,))
        with torch.no_grad():
            worth = 1.0 + discount * target(torch.eye(places)[(place + 1) % places])
            worth *= 1.0 + 0.3 * torch.randn(32, 1)
        losses.append(descend(optimizer, (model(torch.eye(places)[place]) - worth).square().mean()))
    return Nasty([model, target], losses, fmean(losses[-40:]) > 2 * fmean(losses[:40]))


@nasty
def plateau_then_sudden_learning(watch: Watch) -> Nasty:
    """A deep linear net from a small start: nothing for two hundred steps, then all at once."""
    model = nn.Sequential(*(nn.Linear(8, 8, bias=False) for _ in range(4)))
    target = torch.linalg.qr(torch.randn(8, 8))[0] * torch.linspace(2.0, 1.0, 8)
    with torch.no_grad():
        for layer in model:
            layer.weight.copy_(0.3 * torch.eye(8))
        model[0].weight.copy_(0.3 * torch.linalg.qr(target)[0].T)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.03)
    watch(model, optimizer)
    losses = []
    for _ in range(500):
        x = torch.randn(64, 8)
        losses.append(descend(optimizer, (model(x) - x @ target).square().mean()))
    late = next((step for step, loss in enumerate(losses) if loss < 0.5 * losses[0]), 0)
    return Nasty([model], losses, late > 60 and down(losses, 0.2))


@nasty
def hinge_at_zero(watch: Watch) -> Nasty:
    """A hinge loss that all samples of most batches satisfy: gradients of exactly 0, and now and then one."""
    model = mlp(2, 16, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    watch(model, optimizer)
    losses = []
    for _ in range(400):
        x = torch.randn(8, 2)
        side = torch.where(x.sum(dim=1, keepdim=True) > 0, 1.0, -1.0)
        losses.append(descend(optimizer, (1.0 - side * model(x)).clamp(min=0.0).mean()))
    zeros = sum(loss == 0.0 for loss in losses[200:])
    return Nasty([model], losses, 20 < zeros < 200, final=fmean(losses[-200:]))


# Other ways to train.


@nasty
def lbfgs(watch: Watch) -> Nasty:
    """A line search that evaluates a dozen times a step, until the line is flat."""
    model = mlp(3, 16, 1, activation=nn.Tanh)
    x = torch.rand(128, 3) * 2 - 1
    y = (3 * x[:, :1]).sin() * x[:, 1:2] + 0.1 * torch.randn(128, 1)
    optimizer = torch.optim.LBFGS(model.parameters(), lr=1.0, max_iter=10, line_search_fn="strong_wolfe")
    watch(model, optimizer)

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = (model(x) - y).square().mean()
        loss.backward()
        return loss

    losses = [float(optimizer.step(closure).detach()) for _ in range(40)]
    return Nasty([model], losses, down(losses, 0.5))


def _bag_of_words(watch: Watch, make: Callable[[nn.Embedding], Optimizer]) -> Nasty:
    words = nn.Embedding(500, 8, sparse=True)
    head = nn.Linear(8, 2)
    sparse, dense = make(words), torch.optim.SGD(head.parameters(), lr=0.1)
    watch(None, sparse, dense)
    common = 1.0 / torch.arange(1, 501)
    losses = []
    for _ in range(350):
        text = torch.multinomial(common, 16 * 12, replacement=True).view(16, 12)
        loss = cross_entropy(head(words(text).mean(dim=1)), (text % 2).float().mean(dim=1).round().long())
        sparse.zero_grad()
        losses.append(descend_first(sparse, dense, loss))
    return Nasty([words, head], losses, down(losses) and words.weight.grad is not None and words.weight.grad.is_sparse)


def descend_first(first: Optimizer, second: Optimizer, loss: Tensor) -> float:
    """One step of two optimizers after one backward pass."""
    first.zero_grad()
    second.zero_grad()
    loss.backward()
    first.step()
    second.step()
    return loss.item()


@nasty
def sparse_adam(watch: Watch) -> Nasty:
    """Rows of an embedding that occur once in a thousand words."""
    return _bag_of_words(watch, lambda words: torch.optim.SparseAdam(words.parameters(), lr=0.02))


@nasty
def sparse_sgd(watch: Watch) -> Nasty:
    """The same without moments."""
    return _bag_of_words(watch, lambda words: torch.optim.SGD(words.parameters(), lr=5.0))


@nasty
def bfloat16(watch: Watch) -> Nasty:
    """Autocast to eight bits of precision."""
    model = Transformer()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    watch(model, optimizer)
    losses = []
    for x, y in letters():
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = letter_loss(model, x, y)
        losses.append(descend(optimizer, loss))
    return Nasty([model], losses, down(losses, 0.7))


@nasty
def scaler_that_starts_too_high(watch: Watch) -> Nasty:
    """Half precision: the first steps overflow, the scaler leaves them out, and that is how it works."""
    model = mlp(20, 64, 64, 3)
    centres = torch.randn(3, 20)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    watch(model, optimizer)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**24, growth_interval=50)
    losses, overflows = [], 0
    for _ in range(300):
        y = torch.randint(3, (32,))
        x = centres[y] + 2.5 * torch.randn(32, 20)
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.float16):
            loss = cross_entropy(model(x), y)
        scale = scaler.get_scale()
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        overflows += scaler.get_scale() < scale
        losses.append(loss.item())
    return Nasty([model], losses, down(losses, 0.7) and overflows > 3)


@nasty
def accumulation(watch: Watch) -> Nasty:
    """Four backward passes a step, of losses of which one is ten times the others."""
    model = Lstm()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    watch(model, optimizer)
    losses = []
    for x, y in zip(*batches("lstm", 0), strict=True):
        optimizer.zero_grad()
        for part in range(4):
            noise = 2.0 * torch.randn(4, 12) if part == 3 else 0.0
            loss = (model(x[4 * part :][:4]) - y[4 * part :][:4] - noise).square().mean() / 4
            loss.backward()
            losses.append(loss.item())
        optimizer.step()
    return Nasty([model], losses, down(losses) and fmean(losses[3::4][200:]) > 5 * fmean(losses[2::4][200:]))


@nasty
def clipped_by_the_script(watch: Watch) -> Nasty:
    """The script clips nearly every step itself."""
    model = Lstm()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5, momentum=0.9)
    watch(model, optimizer)
    losses, clipped = [], 0
    for x, y in zip(*batches("lstm", 0), strict=True):
        optimizer.zero_grad()
        loss = (model(x) - y).square().mean()
        loss.backward()
        clipped += int(nn.utils.clip_grad_norm_(model.parameters(), 0.1) > 0.1)
        optimizer.step()
        losses.append(loss.item())
    return Nasty([model], losses, down(losses, 0.4) and clipped > 300)


@nasty
def half_of_the_units_dropped(watch: Watch) -> Nasty:
    """Dropout of 0.5 in every layer."""
    model = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Dropout(0.5), nn.Linear(64, 64), nn.ReLU(), nn.Dropout(0.5))
    model.append(nn.Linear(64, 3))
    centres = torch.randn(3, 20)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.03, momentum=0.9)
    watch(model, optimizer)
    losses = []
    for _ in range(400):
        y = torch.randint(3, (32,))
        losses.append(descend(optimizer, cross_entropy(model(centres[y] + 1.5 * torch.randn(32, 20)), y)))
    return Nasty([model], losses, down(losses, 0.8))


@nasty
def tied_weights_and_an_average(watch: Watch) -> Nasty:
    """The head is the embedding, and what is evaluated is a moving average of the weights."""
    model = Transformer()
    model.head[1].weight = model.embedding.weight
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    average = torch.optim.swa_utils.AveragedModel(model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.98))
    watch(model, optimizer)
    losses = []
    for x, y in letters():
        losses.append(descend(optimizer, letter_loss(model, x, y)))
        average.update_parameters(model)
    with torch.no_grad():
        final = float(letter_loss(average, *(part.flatten(0, 1) for part in batches("transformer", -1))))
    return Nasty([model, average], losses, down(losses, 0.8), final=final)


@nasty
def layers_thawed_later(watch: Watch) -> Nasty:
    """The body is frozen at first, and added to the optimizer as a group of its own half way."""
    *body, head = Conv()
    model = nn.Sequential(nn.Sequential(*body), head)
    optimizer = torch.optim.AdamW(head.parameters(), lr=0.01)
    watch(model, optimizer)
    model[0].requires_grad_(False)
    losses = []
    for step, (x, y) in enumerate(images()):
        if step == 180:
            model[0].requires_grad_(True)
            optimizer.add_param_group({"params": list(model[0].parameters()), "lr": 3e-3})
        losses.append(descend(optimizer, cross_entropy(model(x), y)))
    return Nasty([model], losses, down(losses, 0.8) and len(optimizer.param_groups) == 2)


@nasty
def two_losses_in_turn(watch: Watch) -> Nasty:
    """One optimizer, two heads, even steps regress and odd ones classify: losses and norms go up and down each step."""
    body, price, colour = mlp(4, 32, 16), nn.Linear(16, 1), nn.Linear(16, 3)
    model = nn.ModuleList([body, price, colour])
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    watch(model, optimizer)
    losses = []
    for step in range(400):
        x = torch.randn(32, 4)
        if step % 2:
            loss = cross_entropy(colour(body(x)), x[:, :3].argmax(dim=1))
        else:
            loss = (price(body(x)) - 20 * x.sum(dim=1, keepdim=True) - 10 * torch.randn(32, 1)).square().mean()
        losses.append(descend(optimizer, loss))
    return Nasty([model], losses, down(losses[::2]) and down(losses[1::2]) and losses[200] > 20 * losses[201])


# Nothing is left to learn.


@nasty
def fine_tuning_at_a_tiny_rate(watch: Watch) -> Nasty:
    """The model has converged before, and hardly moves."""
    model = Transformer()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    for x, y in letters(seed=1):
        descend(optimizer, letter_loss(model, x, y))
    learned = copy.deepcopy(model.state_dict())
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-6)
    watch(model, optimizer)
    losses = [descend(optimizer, letter_loss(model, x, y)) for x, y in letters()]
    moved = max(float((value - learned[name]).abs().max()) for name, value in model.state_dict().items())
    return Nasty([model], losses, 0 < moved < 1e-3 and fmean(losses[-20:]) < 1.6)


def _exact_task() -> tuple[nn.Module, Tensor, Tensor]:
    model = nn.Linear(6, 1).double()
    x = torch.randn(64, 6, dtype=torch.float64)
    return model, x, x @ torch.arange(1.0, 7.0, dtype=torch.float64)[:, None]


@nasty
def converged_to_the_last_bit(watch: Watch) -> Nasty:
    """Nothing is noise here: the loss falls through 1e-12 to where only rounding moves it."""
    model, x, y = _exact_task()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    watch(model, optimizer)
    losses = [descend(optimizer, (model(x) - y).square().mean()) for _ in range(900)]
    return Nasty([model], losses, max(losses[-300:]) < 1e-24)


@nasty
def converged_under_adam(watch: Watch) -> Nasty:
    """The same under Adam, with a rate that goes down: the loss ends below 1e-12, gradients near 1e-10."""
    model, x, y = _exact_task()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    watch(model, optimizer)
    scheduler = schedulers.CosineAnnealingLR(optimizer, 900)
    losses = []
    for _ in range(900):
        losses.append(descend(optimizer, (model(x) - y).square().mean()))
        scheduler.step()
    return Nasty([model], losses, max(losses[-20:]) < 1e-12)


@nasty
def single_precision_at_its_end(watch: Watch) -> Nasty:
    """Adam at a constant rate, on batches of eight: near 1e-12 rounding alone makes the loss jump tenfold and back."""
    model, x, y = _exact_task()
    model, x, y = model.float(), x.float(), y.float()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    watch(model, optimizer)
    losses = []
    for _ in range(900):
        batch = torch.randint(64, (8,))
        losses.append(descend(optimizer, (model(x[batch]) - y[batch]).square().mean()))
    return Nasty([model], losses, max(losses[-300:]) < 1e-9 and max(losses[-300:]) > 10 * min(losses[-300:]))
