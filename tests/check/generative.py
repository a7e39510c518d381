"""Models that describe their data, or compare it: autoencoders, VAEs, pairs, implicit pictures, differential equations."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.check import data
from tests.check.case import Problem, faulty, sound
from tests.check.common import MakeOptimizer, adam, of, sgd


def autoencoder(raw: bool = False, optimizer: MakeOptimizer = None) -> Problem:
    """The target is the input."""
    torch.manual_seed(100)
    model = nn.Sequential(
        nn.Flatten(), nn.Linear(144, 64), nn.ReLU(), nn.Linear(64, 8), nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 144)
    )
    x, _ = data.images(64, 1, 12, 6)
    x = 255 * x if raw else x
    return model, (x, x.flatten(1)), nn.MSELoss(), of(model, optimizer)


class Vae(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(144, 64), nn.ReLU(), nn.Linear(64, 2 * 6))
        self.decoder = nn.Sequential(nn.Linear(6, 64), nn.ReLU(), nn.Linear(64, 144))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        mean, logvar = self.encoder(x).chunk(2, dim=1)
        code = mean + torch.exp(0.5 * logvar) * torch.randn_like(mean)
        return self.decoder(code), mean, logvar


def vae(per_sample: bool = True, optimizer: MakeOptimizer = None) -> Problem:
    """Summed over the pixels, and divided by the batch, or not."""
    torch.manual_seed(101)
    x, _ = data.images(64, 1, 12, 6)
    x = (x > x.mean()).float()

    def negative_elbo(model: nn.Module, batch: Tensor) -> Tensor:
        logits, mean, logvar = model(batch)
        pixels = F.binary_cross_entropy_with_logits(logits, batch, reduction="sum")
        divergence = -0.5 * (1 + logvar - mean.pow(2) - logvar.exp()).sum()
        return (pixels + divergence) / (len(batch) if per_sample else 1)

    model = Vae()
    return model, x.flatten(1), negative_elbo, of(model, optimizer)


class Sine(nn.Module):
    """SIREN: the sine of 30 times a linear layer, whose weights are that much smaller."""

    def __init__(self, fan_in: int, fan_out: int, first: bool, omega: float = 30.0) -> None:
        super().__init__()
        self.omega, self.linear = omega, nn.Linear(fan_in, fan_out)
        bound = 1 / fan_in if first else math.sqrt(6 / fan_in) / omega
        nn.init.uniform_(self.linear.weight, -bound, bound)

    def forward(self, x: Tensor) -> Tensor:
        return torch.sin(self.omega * self.linear(x))


def siren() -> Problem:
    torch.manual_seed(102)
    model = nn.Sequential(Sine(2, 48, True), Sine(48, 48, False), Sine(48, 48, False), nn.Linear(48, 1))
    grid = torch.cartesian_prod(torch.linspace(-1, 1, 20), torch.linspace(-1, 1, 20))
    picture, _ = data.standardised(1, 1, 20, 1)
    return model, (grid, picture.reshape(-1, 1)), nn.MSELoss(), torch.optim.Adam(model.parameters(), lr=1e-3)


def differential_equation() -> Problem:
    """u'' = -u with u(0) = 0 and u'(0) = 1: the loss takes second derivatives of the model."""
    torch.manual_seed(103)
    model = nn.Sequential(nn.Linear(1, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 1))

    def residual(model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
        t = batch["t"].clone().requires_grad_()
        u = model(t)
        (du,) = torch.autograd.grad(u.sum(), t, create_graph=True)
        (ddu,) = torch.autograd.grad(du.sum(), t, create_graph=True)
        return (ddu + u).pow(2).mean() + u[0].pow(2).mean() + (du[0] - 1).pow(2).mean()

    batch = {"t": torch.linspace(0, 3, 64)[:, None]}
    return model, batch, residual, torch.optim.Adam(model.parameters(), lr=3e-3)


class Twins(nn.Module):
    """One encoder for both; the output is the distance of what it makes of them."""

    def __init__(self, safe: bool) -> None:
        super().__init__()
        self.embed = nn.Sequential(nn.Linear(20, 32), nn.ReLU(), nn.Linear(32, 8))
        self.safe = safe

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        squared = (self.embed(left) - self.embed(right)).pow(2).sum(dim=1)
        return torch.sqrt(squared + 1e-6) if self.safe else torch.sqrt(squared)


def margin(distance: Tensor, same: Tensor) -> Tensor:
    return torch.where(same, distance.pow(2), F.relu(1 - distance).pow(2)).mean()


def siamese(safe: bool = True, raw: bool = False, optimizer: MakeOptimizer = None) -> Problem:
    """Pairs; without `safe` some of them are a sample and itself, and the root of 0 has no finite slope."""
    torch.manual_seed(104)
    left = torch.randn(64, 20)
    same = torch.arange(64) % 2 == 0
    right = torch.where(same[:, None], left + 0.3 * torch.randn(64, 20), torch.randn(64, 20))
    right[:4:2] = left[:4:2]
    factor = torch.logspace(0, 4, 20) if raw else 1.0
    model = Twins(safe)
    return model, (factor * left, factor * right, same), margin, of(model, optimizer)


class TwoTowers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.image = nn.Sequential(nn.Linear(24, 64), nn.GELU(), nn.LayerNorm(64), nn.Linear(64, 16))
        self.text = nn.Sequential(nn.EmbeddingBag(50, 32), nn.Linear(32, 16))
        self.log_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))

    def forward(self, image: Tensor, text: Tensor) -> Tensor:
        image, text = F.normalize(self.image(image), dim=1), F.normalize(self.text(text), dim=1)
        return self.log_scale.exp() * image @ text.T


def contrastive() -> Problem:
    """Which of the batch's texts belongs to which image, at CLIP's temperature."""
    torch.manual_seed(105)
    text = torch.randint(0, 50, (48, 6))
    image = F.one_hot(text, 50).sum(dim=1).float() @ torch.randn(50, 24) / 6**0.5

    def both_ways(logits: Tensor, target: Tensor) -> Tensor:
        return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2

    model = TwoTowers()
    return model, (image, text, torch.arange(48)), both_ways, torch.optim.AdamW(model.parameters(), lr=1e-3)


class Mixture(nn.Module):
    """A density of three bells: the loss may lie below zero."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(1, 32), nn.Tanh(), nn.Linear(32, 9))

    def forward(self, x: Tensor) -> torch.distributions.Distribution:
        weight, mean, width = self.body(x).chunk(3, dim=-1)
        bells = torch.distributions.Normal(mean, F.softplus(width) + 1e-3)
        return torch.distributions.MixtureSameFamily(torch.distributions.Categorical(logits=weight), bells)


def mixture() -> Problem:
    torch.manual_seed(106)
    x = torch.rand(128, 1) * 2 - 1
    y = torch.where(torch.rand(128) < 0.5, 0.1, -0.1) + 0.02 * torch.randn(128)
    model = Mixture()
    adam_fast = torch.optim.Adam(model.parameters(), lr=1e-2)
    return model, (x, y), lambda density, target: -density.log_prob(target).mean(), adam_fast


def quantiles(output: Tensor, target: Tensor) -> Tensor:
    levels = torch.tensor([0.1, 0.5, 0.9])
    miss = target - output
    return torch.maximum(levels * miss, (levels - 1) * miss).mean()


def quantile_forecaster(
    target_scale: float = 1.0, loss_fn: Callable[..., Tensor] = quantiles, optimizer: MakeOptimizer = None
) -> Problem:
    torch.manual_seed(107)
    x, y = data.series(128, 24)
    model = nn.Sequential(nn.Flatten(), nn.Linear(24, 64), nn.LeakyReLU(), nn.Linear(64, 3))
    return model, (x, target_scale * y), loss_fn, of(model, optimizer)


FAULTY = (
    faulty("vae-summed-sgd", "loss-scale", vae, optimizer=sgd(2e-2, 0.9), fault={"per_sample": False}),
    faulty("autoencoder-bytes", "input-scale", autoencoder, optimizer=sgd(0.1, 0.9), fault={"raw": True}),
    faulty("siamese-root-of-zero", "unsafe-op", siamese, fault={"safe": False}, optimizer=adam()),
    faulty("siamese-features-apart", "input-scale", siamese, fault={"raw": True}, optimizer=adam(3e-3)),
    faulty("quantiles-of-sales", "loss-scale", quantile_forecaster, fault={"target_scale": 3e4}, optimizer=adam(3e-3)),
)

SOUND = (
    sound("autoencoder", autoencoder, optimizer=sgd(0.1, 0.9)),
    sound("vae", vae, optimizer=adam(3e-3)),
    sound("siren", siren),
    sound("differential-equation", differential_equation),
    sound("siamese", siamese, optimizer=adam()),
    sound("two-towers-temperature", contrastive),
    sound("mixture-density", mixture),
    sound("quantile-forecaster", quantile_forecaster, optimizer=adam(3e-3)),
)
