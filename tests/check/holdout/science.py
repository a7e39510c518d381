"""Held-out trainings that generate, solve, rank and act."""

import copy
import itertools
import math

import torch
import torch.nn.functional as F
from torch import nn

from ._case import Expect, Training, batches, case, images


class VAE(nn.Module):
    def __init__(self, sigma):
        super().__init__()
        self.fc1 = nn.Linear(784, 200)
        self.fc21, self.fc22 = nn.Linear(200, 20), nn.Linear(200, 20)
        self.fc3, self.fc4 = nn.Linear(20, 200), nn.Linear(200, 784)
        self.sigma = sigma

    def forward(self, x):
        h = F.relu(self.fc1(x.view(-1, 784)))
        mu, s = self.fc21(h), self.fc22(h)
        std = s if self.sigma else torch.exp(0.5 * s)
        z = mu + torch.randn_like(std) * std
        return torch.sigmoid(self.fc4(F.relu(self.fc3(z)))), mu, s


@case(log_sigma=Expect(("unsafe-op",), note="the encoder's linear output is taken as sigma, and its log as it is"))
def vae_example(fault):
    x, _ = images(256)

    def loss_function(out, target):
        recon, mu, s = out
        bce = F.binary_cross_entropy(recon, target.view(-1, 784), reduction="sum")
        logvar = 2 * torch.log(s) if fault else s
        return bce - 0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())

    model = VAE(bool(fault))
    return Training(model, batches(x, x, size=64), loss_function, torch.optim.Adam(model.parameters(), lr=1e-3), 80)


def weights_init(m):
    if isinstance(m, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(m.weight, 0.0, 0.02)
    elif isinstance(m, nn.BatchNorm2d):
        nn.init.normal_(m.weight, 1.0, 0.02)
        nn.init.zeros_(m.bias)


@case(rate=Expect((), note="lr=0.2 for 0.0002"))
def dcgan_discriminator(fault):
    real, _ = images(256, 1, 32)
    real = 2 * real - 1
    netg = nn.Sequential(
        nn.ConvTranspose2d(32, 32, 4, 1, 0, bias=False), nn.BatchNorm2d(32), nn.ReLU(True),
        nn.ConvTranspose2d(32, 16, 4, 2, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU(True),
        nn.ConvTranspose2d(16, 8, 4, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU(True),
        nn.ConvTranspose2d(8, 1, 4, 2, 1, bias=False), nn.Tanh(),
    )  # fmt: skip
    netd = nn.Sequential(
        nn.Conv2d(1, 16, 4, 2, 1, bias=False), nn.LeakyReLU(0.2, inplace=True),
        nn.Conv2d(16, 32, 4, 2, 1, bias=False), nn.BatchNorm2d(32), nn.LeakyReLU(0.2, inplace=True),
        nn.Conv2d(32, 64, 4, 2, 1, bias=False), nn.BatchNorm2d(64), nn.LeakyReLU(0.2, inplace=True),
        nn.Conv2d(64, 1, 4, 1, 0, bias=False), nn.Flatten(0),
    )  # fmt: skip
    netg.apply(weights_init)
    netd.apply(weights_init)

    def d_step(model, batch):
        (x,) = batch
        fake = netg(torch.randn(len(x), 32, 1, 1)).detach()
        on_real, on_fake = model(x), model(fake)
        bce = F.binary_cross_entropy_with_logits
        return bce(on_real, torch.ones_like(on_real)) + bce(on_fake, torch.zeros_like(on_fake))

    optimizer = torch.optim.Adam(netd.parameters(), lr=0.2 if fault else 2e-4, betas=(0.5, 0.999))
    return Training(netd, batches(real), d_step, optimizer, 60)


class TimeEmbedding(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.d = d
        self.mlp = nn.Sequential(nn.Linear(d, 4 * d), nn.SiLU(), nn.Linear(4 * d, d))

    def forward(self, t):
        f = torch.exp(-math.log(10000) * torch.arange(self.d // 2) / (self.d // 2))
        a = t[:, None].float() * f
        return self.mlp(torch.cat([a.sin(), a.cos()], 1))


class ResBlock(nn.Module):
    def __init__(self, cin, cout, d):
        super().__init__()
        self.norm1, self.conv1 = nn.GroupNorm(4, cin), nn.Conv2d(cin, cout, 3, padding=1)
        self.emb = nn.Linear(d, cout)
        self.norm2, self.conv2 = nn.GroupNorm(4, cout), nn.Conv2d(cout, cout, 3, padding=1)
        nn.init.zeros_(self.conv2.weight)
        nn.init.zeros_(self.conv2.bias)
        self.skip = nn.Conv2d(cin, cout, 1) if cin != cout else nn.Identity()

    def forward(self, x, e):
        h = self.conv1(F.silu(self.norm1(x))) + self.emb(e)[:, :, None, None]
        return self.skip(x) + self.conv2(F.silu(self.norm2(h)))


class DiffusionUNet(nn.Module):
    def __init__(self, w=16):
        super().__init__()
        self.time = TimeEmbedding(32)
        self.stem = nn.Conv2d(1, w, 3, padding=1)
        self.down = ResBlock(w, w, 32)
        self.pool = nn.Conv2d(w, 2 * w, 3, 2, 1)
        self.mid = ResBlock(2 * w, 2 * w, 32)
        self.up = nn.ConvTranspose2d(2 * w, w, 2, 2)
        self.last = ResBlock(2 * w, w, 32)
        self.out = nn.Sequential(nn.GroupNorm(4, w), nn.SiLU(), nn.Conv2d(w, 1, 3, padding=1))
        nn.init.zeros_(self.out[-1].weight)
        nn.init.zeros_(self.out[-1].bias)

    def forward(self, x, t):
        e = self.time(t)
        a = self.down(self.stem(x), e)
        b = self.mid(self.pool(a), e)
        return self.out(self.last(torch.cat([self.up(b), a], 1), e))


@case(raw_pixels=Expect(("input-scale",), "0|x|batch|input", "images in 0..255 under noise of variance 1"))
def ddpm_zero_init(fault):
    x0, _ = images(256, 1, 16)
    x0 = 255 * x0 if fault else 2 * x0 - 1
    alphas = torch.cumprod(1 - torch.linspace(1e-4, 0.02, 1000), 0)

    def p_losses(model, batch):
        (x,) = batch
        t = torch.randint(0, 1000, (len(x),))
        noise = torch.randn_like(x)
        a = alphas[t][:, None, None, None]
        return F.mse_loss(model(a.sqrt() * x + (1 - a).sqrt() * noise, t), noise)

    model = DiffusionUNet()
    return Training(model, batches(x0), p_losses, torch.optim.AdamW(model.parameters(), lr=2e-3), 100)


class NeRF(nn.Module):
    def __init__(self, freqs=6, width=64, depth=6):
        super().__init__()
        self.freqs = freqs
        dim = 3 + 6 * freqs
        self.layers = nn.ModuleList(
            nn.Linear(dim if i == 0 else width + (dim if i == 3 else 0), width) for i in range(depth)
        )
        self.sigma, self.rgb = nn.Linear(width, 1), nn.Linear(width, 3)

    def forward(self, points, deltas):
        enc = [points]
        for i in range(self.freqs):
            enc += [torch.sin(2.0**i * math.pi * points), torch.cos(2.0**i * math.pi * points)]
        enc = torch.cat(enc, -1)
        h = enc
        for i, layer in enumerate(self.layers):
            h = F.relu(layer(torch.cat([h, enc], -1) if i == 3 else h))
        sigma, rgb = F.softplus(self.sigma(h))[..., 0], torch.sigmoid(self.rgb(h))
        alpha = 1 - torch.exp(-sigma * deltas)
        trans = torch.cumprod(torch.cat([torch.ones_like(alpha[:, :1]), 1 - alpha + 1e-10], 1), 1)[:, :-1]
        return ((alpha * trans)[..., None] * rgb).sum(1)


@case(millimetres=Expect((), note="scene coordinates in millimetres"))
def nerf_volume_rendering(fault):
    origins = torch.rand(400, 1, 3) * 2 - 1
    direction = F.normalize(torch.randn(400, 1, 3), dim=-1)
    ts = torch.linspace(0, 1, 16)[None, :, None]
    points = origins + ts * direction
    deltas = torch.full((400, 16), 1 / 16)
    color = torch.sigmoid(3 * torch.cat([points.mean(1)[:, :1], points[:, 0, 1:2], points[:, -1, 2:]], 1))
    if fault:
        points = points * 1000
    model = NeRF()
    return Training(
        model, batches(points, deltas, color, size=64), nn.MSELoss(), torch.optim.Adam(model.parameters(), lr=1e-3), 100
    )


class PINN(nn.Module):
    def __init__(self, std=None):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(1, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 1)
        )
        for m in self.net:
            if isinstance(m, nn.Linear):
                nn.init.xavier_normal_(m.weight) if std is None else nn.init.normal_(m.weight, std=std)
                nn.init.zeros_(m.bias)

    def forward(self, x):
        return self.net(x)


@case(unit_normal=Expect(("init-gain", "saturation"), "net", "normal_(std=3): derivatives of a saturated tanh network"))
def pinn_poisson(fault):
    g = torch.Generator().manual_seed(3)
    xs = torch.rand(512, 1, generator=g) * 2 - 1

    def residual(model, batch):
        x = batch[0].requires_grad_()
        u = model(x)
        du = torch.autograd.grad(u.sum(), x, create_graph=True)[0]
        ddu = torch.autograd.grad(du.sum(), x, create_graph=True)[0]
        edge = model(torch.tensor([[-1.0], [1.0]]))
        return ((ddu + math.pi**2 * torch.sin(math.pi * x)) ** 2).mean() + 10 * (edge**2).mean()

    model = PINN(3.0 if fault else None)

    def metric(m):
        with torch.no_grad():
            return float(((m(xs) - torch.sin(math.pi * xs)) ** 2).mean())

    def batch(i):
        return (xs[torch.randint(512, (128,), generator=torch.Generator().manual_seed(i))].clone(),)

    return Training(model, batch, residual, torch.optim.Adam(model.parameters(), lr=5e-3), 100, metric)


@case(
    by_the_thousand=Expect(
        ("loss-scale", "learning-rate"), note="a penalty weight of 1e6 on the boundary, under plain SGD"
    )
)
def pinn_heat_sgd(fault):
    xt = torch.rand(256, 2)
    edge = torch.cat([torch.rand(64, 1), torch.zeros(64, 1)], 1)
    model = nn.Sequential(nn.Linear(2, 40), nn.SiLU(), nn.Linear(40, 40), nn.SiLU(), nn.Linear(40, 1))

    def loss(model, batch):
        inner, start = batch
        inner = inner.clone().requires_grad_()
        u = model(inner)
        first = torch.autograd.grad(u.sum(), inner, create_graph=True)[0]
        uxx = torch.autograd.grad(first[:, 0].sum(), inner, create_graph=True)[0][:, 0]
        pde = (first[:, 1] - 0.1 * uxx).pow(2).mean()
        initial = (model(start) - torch.sin(math.pi * start[:, :1])).pow(2).mean()
        return pde + (1e6 if fault else 1.0) * initial

    def metric(m):
        return float((m(edge) - torch.sin(math.pi * edge[:, :1])).pow(2).mean().detach())

    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    return Training(model, lambda i: (xt, edge), loss, optimizer, 100, metric)


class Coupling(nn.Module):
    def __init__(self, dim, flip, bounded):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(dim // 2, 48), nn.ReLU(), nn.Linear(48, 48), nn.ReLU(), nn.Linear(48, dim))
        self.flip, self.bounded = flip, bounded

    def forward(self, x):
        a, b = x.chunk(2, 1)
        if self.flip:
            a, b = b, a
        s, t = self.net(a).chunk(2, 1)
        s = torch.tanh(s) if self.bounded else s
        b = b * torch.exp(s) + t
        return torch.cat([b, a] if self.flip else [a, b], 1), s.sum(1)


class RealNVP(nn.Module):
    def __init__(self, dim=4, layers=6, bounded=True, gain=None):
        super().__init__()
        self.layers = nn.ModuleList(Coupling(dim, i % 2 == 1, bounded) for i in range(layers))
        for m in self.modules():
            if gain and isinstance(m, nn.Linear):
                nn.init.normal_(m.weight, std=gain)

    def forward(self, x):
        logdet = 0
        for layer in self.layers:
            x, ld = layer(x)
            logdet = logdet + ld
        return x, logdet


@case(
    unbounded=Expect(
        ("init-gain", "unsafe-op"), "layers|exp", "log-scales without tanh, from weights of N(0, 0.4): exp explodes"
    )
)
def realnvp_flow(fault):
    z = torch.randn(600, 4)
    x = torch.stack([z[:, 0], z[:, 1] * 0.3 + z[:, 0] ** 2, z[:, 2] + z[:, 1], 0.5 * z[:, 3] - z[:, 0]], 1)
    x = (x - x.mean(0)) / x.std(0)
    model = RealNVP(bounded=not fault, gain=0.4 if fault else None)

    def nll(model, batch):
        out, logdet = model(batch[0])
        return (0.5 * (out**2).sum(1) + 2 * math.log(2 * math.pi) - logdet).mean()

    return Training(model, batches(x, size=128), nll, torch.optim.Adam(model.parameters(), lr=2e-3), 80)


@case()
def score_matching_energy(fault):
    """An energy's gradient is the score; trained through a second derivative."""
    x = torch.cat([torch.randn(300, 2) * 0.4 + 1.5, torch.randn(300, 2) * 0.4 - 1.5])
    energy = nn.Sequential(nn.Linear(2, 64), nn.Softplus(), nn.Linear(64, 64), nn.Softplus(), nn.Linear(64, 1))

    def dsm(model, batch):
        (clean,) = batch
        noise = torch.randn_like(clean) * 0.4
        noisy = (clean + noise).requires_grad_()
        score = -torch.autograd.grad(model(noisy).sum(), noisy, create_graph=True)[0]
        return ((0.4 * score + noise / 0.4) ** 2).mean()

    return Training(energy, batches(x, size=128), dsm, torch.optim.Adam(energy.parameters(), lr=3e-3), 100)


class CLIP(nn.Module):
    def __init__(self, logit_scale):
        super().__init__()
        self.visual = nn.Sequential(
            nn.Conv2d(1, 16, 5, 2), nn.GELU(), nn.Conv2d(16, 32, 5, 2), nn.GELU(), nn.Flatten(), nn.Linear(512, 32)
        )
        self.token_embedding = nn.EmbeddingBag(40, 48)
        self.text_projection = nn.Linear(48, 32, bias=False)
        self.logit_scale = nn.Parameter(torch.tensor(logit_scale))

    def forward(self, image, ids):
        i = F.normalize(self.visual(image), dim=-1)
        t = F.normalize(self.text_projection(self.token_embedding(ids)), dim=-1)
        logits = self.logit_scale.exp() * i @ t.T
        return logits, logits.T


@case(
    scale_not_log=Expect(
        ("unsafe-op", "init-gain", "loss-scale"),
        "logit_scale",
        note="logit_scale starts at 1/0.07 = 14.3 instead of its log: exp gives 1.6e6",
    )
)
def clip_contrastive(fault):
    x, y = images(256, 1, 28, 16)
    ids = torch.stack([y, y + 16, torch.randint(32, 40, (256,))], 1)
    model = CLIP(1 / 0.07 if fault else math.log(1 / 0.07))

    def loss(model, batch):
        image, text = batch
        a, b = model(image, text)
        labels = torch.arange(len(image))
        return (F.cross_entropy(a, labels) + F.cross_entropy(b, labels)) / 2

    def metric(m):
        with torch.no_grad():
            a, _ = m(x[:32], ids[:32])
            return 1 - float((y[:32][a.argmax(1)] == y[:32]).float().mean())

    return Training(
        model, batches((x - 0.5) / 0.3, ids), loss, torch.optim.AdamW(model.parameters(), lr=1e-3), 100, metric
    )


class DeepFM(nn.Module):
    def __init__(self, fields=(40, 30, 20), dense=4, k=8):
        super().__init__()
        self.first = nn.ModuleList(nn.Embedding(n, 1) for n in fields)
        self.second = nn.ModuleList(nn.Embedding(n, k) for n in fields)
        for e in (*self.first, *self.second):
            nn.init.normal_(e.weight, std=0.01)
        self.dense = nn.Linear(dense, 1)
        self.deep = nn.Sequential(nn.Linear(len(fields) * k + dense, 64), nn.ReLU(), nn.Dropout(0.2), nn.Linear(64, 1))

    def forward(self, inputs):
        cat, num = inputs["cat"], inputs["num"]
        linear = sum(e(cat[:, i]) for i, e in enumerate(self.first)) + self.dense(num)
        v = torch.stack([e(cat[:, i]) for i, e in enumerate(self.second)], 1)
        fm = 0.5 * (v.sum(1) ** 2 - (v**2).sum(1)).sum(1, keepdim=True)
        return (linear + fm + self.deep(torch.cat([v.flatten(1), num], 1))).squeeze(1)


@case(
    raw_counts=Expect(
        ("input-scale",), "num|0|batch|dense|deep", "raw counts up to a million beside the embeddings, no log1p"
    )
)
def deepfm_criteo(fault):
    cat = torch.stack([torch.randint(n, (800,)) for n in (40, 30, 20)], 1)
    count = torch.exp(3 * torch.randn(800, 4) + 4)
    num = count if fault else (torch.log1p(count) - 4) / 3
    y = ((cat[:, 0] % 3 == 0).float() + (torch.log(count[:, 0]) > 4).float() > 0).float()
    model = DeepFM()

    def batch(i):
        pick = torch.randint(800, (64,), generator=torch.Generator().manual_seed(i))
        return {"cat": cat[pick], "num": num[pick], "label": y[pick]}

    def loss(model, batch):
        return F.binary_cross_entropy_with_logits(model({"cat": batch["cat"], "num": batch["num"]}), batch["label"])

    return Training(model, batch, loss, torch.optim.Adam(model.parameters(), lr=3e-3), 100)


def layer_init(layer, std=2**0.5):
    nn.init.orthogonal_(layer.weight, std)
    nn.init.constant_(layer.bias, 0.0)
    return layer


class Agent(nn.Module):
    def __init__(self, obs=8, acts=4):
        super().__init__()
        self.critic = nn.Sequential(
            layer_init(nn.Linear(obs, 64)),
            nn.Tanh(),
            layer_init(nn.Linear(64, 64)),
            nn.Tanh(),
            layer_init(nn.Linear(64, 1), 1.0),
        )
        self.actor = nn.Sequential(
            layer_init(nn.Linear(obs, 64)),
            nn.Tanh(),
            layer_init(nn.Linear(64, 64)),
            nn.Tanh(),
            layer_init(nn.Linear(64, acts), 0.01),
        )

    def forward(self, x):
        return torch.distributions.Categorical(logits=self.actor(x)), self.critic(x)[:, 0]


@case(
    raw_observations=Expect(
        ("input-scale", "saturation"),
        "0|x|obs|batch|input|actor|critic",
        "observations in raw encoder ticks, not normalised",
    )
)
def ppo_cleanrl(fault):
    obs = torch.randn(512, 8)
    best = (obs[:, :4]).argmax(1)
    model = Agent()
    seen = 30000 + 2000 * obs if fault else obs
    with torch.no_grad():
        dist, _ = model(seen)
        actions = dist.sample()
        old = dist.log_prob(actions)
    returns = (actions == best).float() * 2 - 0.5
    advantage = (returns - returns.mean()) / (returns.std() + 1e-8)

    def ppo_loss(model, batch):
        o, a, logp, adv, ret = batch
        dist, value = model(o)
        ratio = (dist.log_prob(a) - logp).exp()
        pg = torch.max(-adv * ratio, -adv * torch.clamp(ratio, 0.8, 1.2)).mean()
        return pg - 0.01 * dist.entropy().mean() + 0.5 * 0.5 * ((value - ret) ** 2).mean()

    def metric(m):
        with torch.no_grad():
            dist, value = m(seen)
            return float(-dist.probs[torch.arange(512), best].mean() + (value - returns).pow(2).mean())

    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, eps=1e-5)
    return Training(model, batches(seen, actions, old, advantage, returns, size=64), ppo_loss, optimizer, 100, metric)


@case(rate=Expect(("learning-rate",), note="SGD lr=2 on the TD error"))
def dqn_target_network(fault):
    q = nn.Sequential(nn.Linear(6, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 3))
    target = copy.deepcopy(q).requires_grad_(False)
    s, a, s2 = torch.randn(600, 6), torch.randint(3, (600,)), torch.randn(600, 6)
    r = (s[torch.arange(600), a] > 0).float()
    done = (torch.rand(600) < 0.2).float()

    def td_loss(model, batch):
        s, a, r, s2, done = batch
        with torch.no_grad():
            goal = r + 0.9 * (1 - done) * target(s2).max(1).values
        return F.mse_loss(model(s).gather(1, a[:, None])[:, 0], goal)

    optimizer = torch.optim.SGD(q.parameters(), lr=2.0 if fault else 0.05, momentum=0.9)
    return Training(q, batches(s, a, r, s2, done, size=64), td_loss, optimizer, 100)


class TiedAutoencoder(nn.Module):
    def __init__(self, weight):
        super().__init__()
        self.weight = nn.Parameter(weight)
        self.b_in, self.b_out = nn.Parameter(torch.zeros(weight.shape[0])), nn.Parameter(torch.zeros(weight.shape[1]))

    def forward(self, x):
        return torch.sigmoid(F.linear(torch.sigmoid(F.linear(x, self.weight, self.b_in)), self.weight.t(), self.b_out))


@case(
    uniform_positive=Expect(
        ("init-gain", "saturation"), "weight|", "torch.rand for the weights: all positive, sums in the hundreds"
    )
)
def tied_autoencoder(fault):
    x = images(256)[0].flatten(1)
    model = TiedAutoencoder(torch.rand(64, 784) if fault else nn.init.xavier_uniform_(torch.empty(64, 784)))
    return Training(model, batches(x, x), nn.BCELoss(), torch.optim.Adam(model.parameters(), lr=3e-3), 100)


class HyperNet(nn.Module):
    def __init__(self, small):
        super().__init__()
        self.embed = nn.Linear(3, 32)
        self.w1, self.w2 = nn.Linear(32, 4 * 64), nn.Linear(32, 64 * 2)
        self.b1 = nn.Parameter(torch.zeros(64))
        if small:
            for m, fan in ((self.w1, 4), (self.w2, 64)):
                nn.init.normal_(m.weight, std=(2 / (32 * fan)) ** 0.5)
                nn.init.zeros_(m.bias)
        else:
            nn.init.normal_(self.w1.weight)
            nn.init.normal_(self.w2.weight)

    def forward(self, x, task):
        e = F.relu(self.embed(task))
        h = torch.einsum("bi,bih->bh", x, self.w1(e).view(-1, 4, 64))
        return torch.einsum("bh,bho->bo", F.relu(h + self.b1), self.w2(e).view(-1, 64, 2))


@case(
    unit_generator=Expect(
        ("init-gain",), "w1|w2", "the generator's weights from N(0, 1): the main net's weights are 30 times too large"
    )
)
def hypernetwork(fault):
    x, task = torch.randn(500, 4), torch.randn(500, 3)
    y = torch.stack([(x[:, 0] * task[:, 0]), torch.sin(x[:, 1]) + task[:, 1]], 1)
    model = HyperNet(not fault)
    return Training(
        model,
        batches(x, task, y, size=64),
        nn.MSELoss(),
        torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9),
        100,
    )


class ComplexConvNet(nn.Module):
    """A complex-valued network on spectra: modReLU between complex layers, magnitudes at the end."""

    def __init__(self):
        super().__init__()
        self.l1, self.l2 = nn.Linear(32, 48, dtype=torch.cfloat), nn.Linear(48, 48, dtype=torch.cfloat)
        self.bias = nn.Parameter(torch.zeros(48))
        self.head = nn.Linear(48, 4)

    def forward(self, x):
        z = self.l1(torch.fft.fft(x, norm="ortho"))
        z = F.relu(z.abs() + self.bias) * z / (z.abs() + 1e-6)
        return self.head(self.l2(z).abs())


@case()
def complex_valued(fault):
    y = torch.randint(4, (400,))
    t = torch.arange(32.0)
    x = torch.sin(t * (0.4 + 0.5 * y[:, None]) + 6 * torch.rand(400, 1)) + 0.2 * torch.randn(400, 32)
    model = ComplexConvNet()
    return Training(model, batches(x, y), nn.CrossEntropyLoss(), torch.optim.Adam(model.parameters(), lr=3e-3), 80)


class FNO1d(nn.Module):
    def __init__(self, width=24, modes=8):
        super().__init__()
        self.lift, self.modes = nn.Linear(2, width), modes
        scale = 1 / width**2
        self.spectral = nn.ParameterList(
            nn.Parameter(scale * torch.rand(width, width, modes, dtype=torch.cfloat)) for _ in range(3)
        )
        self.ws = nn.ModuleList(nn.Conv1d(width, width, 1) for _ in range(3))
        self.q = nn.Sequential(nn.Linear(width, 64), nn.GELU(), nn.Linear(64, 1))

    def forward(self, x):
        h = self.lift(x).transpose(1, 2)
        for w, conv in zip(self.spectral, self.ws, strict=True):
            f = torch.fft.rfft(h)
            out = torch.zeros_like(f)
            out[:, :, : self.modes] = torch.einsum("bix,iox->box", f[:, :, : self.modes], w)
            h = F.gelu(torch.fft.irfft(out, n=h.shape[-1]) + conv(h))
        return self.q(h.transpose(1, 2))


@case()
def fourier_neural_operator(fault):
    grid = torch.linspace(0, 1, 64)
    k = torch.arange(1, 5)[None, :, None]
    c = torch.randn(200, 4, 1) / k
    u0 = (c * torch.sin(2 * math.pi * k * grid)).sum(1)
    u1 = (c * torch.exp(-0.05 * k**2) * torch.sin(2 * math.pi * k * (grid - 0.1))).sum(1)
    x = torch.stack([u0, grid.expand(200, -1)], -1)
    model = FNO1d()
    return Training(
        model, batches(x, u1[..., None], size=20), nn.MSELoss(), torch.optim.Adam(model.parameters(), lr=3e-3), 80
    )


class MultiTask(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(12, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU())
        self.cls, self.reg = nn.Linear(64, 3), nn.Linear(64, 1)

    def forward(self, x):
        h = self.trunk(x)
        return {"cls": self.cls(h), "reg": self.reg(h)}


@case(
    raw_salary=Expect(
        ("input-scale", "loss-scale"),
        "reg|target|y|batch|loss|1|",
        "the regression task's target is a salary in raw units",
    )
)
def multi_task(fault):
    x = torch.randn(600, 12)
    label = (x[:, :3]).argmax(1)
    salary = 60000 + 20000 * torch.tanh(x[:, 3:4]) if fault else torch.tanh(x[:, 3:4])
    model = MultiTask()

    def batch(i):
        pick = torch.randint(600, (64,), generator=torch.Generator().manual_seed(i))
        return x[pick], {"label": label[pick], "salary": salary[pick]}

    def loss(out, target):
        return F.cross_entropy(out["cls"], target["label"]) + F.mse_loss(out["reg"], target["salary"])

    def metric(m):
        return float(F.cross_entropy(m(x)["cls"], label).detach())

    return Training(model, batch, loss, torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9), 100, metric)


@case(
    half=Expect(
        ("half-overflow", "input-scale", "loss-scale"), note="model and data .half(), house prices squared by the loss"
    )
)
def house_prices_half(fault):
    """Tabular regression; the sound twin standardises the target, both in float16."""
    x = torch.randn(500, 10)
    price = x @ torch.randn(10, 1) * 0.3
    y = (price * 50000 / 20 + 18000) if fault else price
    model = nn.Sequential(nn.Linear(10, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1)).half()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)

    def metric(m):
        out = m(x.half()).float().detach()
        return float(((out - y) / (2500 if fault else 1)).pow(2).mean() / (price**2).mean())

    return Training(model, batches(x.half(), y.half()), nn.MSELoss(), optimizer, 100, metric)


class PerGroup(nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone = nn.Sequential(
            nn.Linear(20, 64), nn.LayerNorm(64), nn.GELU(), nn.Linear(64, 64), nn.LayerNorm(64), nn.GELU()
        )
        self.head = nn.utils.parametrizations.spectral_norm(nn.Linear(64, 5))
        self.log_vars = nn.Parameter(torch.zeros(2))

    def forward(self, x):
        return self.head(self.backbone(x))


@case(swapped=Expect(("learning-rate",), note="the head's group got lr=30 where 0.3 was meant"))
def per_group_rates_spectral_norm(fault):
    x = torch.randn(500, 20)
    y = (x[:, :5] + 0.5 * x[:, 5:10]).argmax(1)
    model = PerGroup()
    groups = [
        {"params": model.backbone.parameters(), "lr": 0.05},
        {"params": model.head.parameters(), "lr": 3000.0 if fault else 0.3},
        {"params": [model.log_vars], "lr": 1e-3, "weight_decay": 0.0},
    ]
    return Training(
        model,
        batches(x, y, size=64),
        nn.CrossEntropyLoss(),
        torch.optim.SGD(groups, lr=0.05, momentum=0.9, weight_decay=1e-4),
        80,
    )


@case(acos=Expect(("unsafe-op",), note="the angle by acos: infinite slope where the cosine reaches 1"))
def arcface_angles(fault):
    """Rotations of point sets; the loss is the angle between predicted and true direction."""
    x = torch.randn(400, 12)
    y = F.normalize(x[:, :3] + 0.1 * x[:, 3:6], dim=1)
    model = nn.Sequential(nn.Linear(12, 64), nn.SELU(), nn.Linear(64, 64), nn.SELU(), nn.Linear(64, 3))
    for m in model:
        if isinstance(m, nn.Linear):
            nn.init.kaiming_normal_(m.weight, nonlinearity="linear")
            nn.init.zeros_(m.bias)
    table = torch.cat([y, torch.tensor([[0.0, 0.0, 1.0]])])

    def angle(model, batch):
        inputs, target = batch
        out = F.normalize(model(inputs), dim=1)
        cos = (out * target).sum(1)
        spread = (table @ table.T).clamp(-1, 1)  # directions against directions: the diagonal is 1
        weight = model[0].weight.new_ones(())
        if fault:
            own = (out @ out.T).clamp(-1, 1)
            return torch.acos(cos).mean() - 0.01 * torch.acos(own).mean() * weight
        own = (out @ out.T).clamp(-1 + 1e-4, 1 - 1e-4)
        return torch.acos(cos.clamp(-1 + 1e-4, 1 - 1e-4)).mean() - 0.01 * torch.acos(own).mean() + 0 * spread.mean()

    return Training(model, batches(x, y, size=64), angle, torch.optim.Adam(model.parameters(), lr=2e-3), 80)


class SIREN(nn.Module):
    def __init__(self, right=True):
        super().__init__()
        dims = [2, 64, 64, 64, 1]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(dims))
        if right:
            for i, layer in enumerate(self.layers):
                bound = 1 / 2 if i == 0 else math.sqrt(6 / 64) / 30
                nn.init.uniform_(layer.weight, -bound, bound)

    def forward(self, xy):
        for layer in self.layers[:-1]:
            xy = torch.sin(30 * layer(xy))
        return self.layers[-1](xy)


@case()
def siren_image_fit(fault):
    side = torch.linspace(-1, 1, 32)
    xy = torch.stack(torch.meshgrid(side, side, indexing="ij"), -1).view(-1, 2)
    img = torch.sigmoid(4 * F.interpolate(torch.randn(1, 1, 6, 6), size=(32, 32), mode="bicubic")).view(-1, 1)
    model = SIREN()
    return Training(model, lambda i: (xy, img), nn.MSELoss(), torch.optim.Adam(model.parameters(), lr=1e-3), 80)


@case(rate=Expect(("learning-rate",), note="a regression on the sum of 30 features with lr=1 plain SGD"))
def first_steps_linear_regression(fault):
    x = torch.randn(300, 30)
    y = x @ torch.randn(30, 1) + 0.1 * torch.randn(300, 1)
    model = nn.Linear(30, 1)
    return Training(
        model, batches(x, y), nn.MSELoss(), torch.optim.SGD(model.parameters(), lr=2.0 if fault else 0.05), 100
    )


@case(rate=Expect(("learning-rate",), note="Adagrad's lr=10"))
def two_tower_recommender(fault):
    users, items = torch.randint(80, (1500,)), torch.randint(60, (1500,))
    u, v = torch.randn(80, 4), torch.randn(60, 4)
    rating = (u[users] * v[items]).sum(1) + 3.5

    class MF(nn.Module):
        def __init__(self):
            super().__init__()
            self.user, self.item = nn.Embedding(80, 16, sparse=False), nn.Embedding(60, 16, sparse=False)
            self.user_bias, self.item_bias = nn.Embedding(80, 1), nn.Embedding(60, 1)
            self.mean = nn.Parameter(torch.tensor(3.0))
            for e in (self.user, self.item):
                nn.init.normal_(e.weight, std=0.1)
            for e in (self.user_bias, self.item_bias):
                nn.init.zeros_(e.weight)

        def forward(self, users, items):
            dot = (self.user(users) * self.item(items)).sum(1)
            return dot + self.user_bias(users)[:, 0] + self.item_bias(items)[:, 0] + self.mean

    model = MF()
    return Training(
        model,
        batches(users, items, rating, size=256),
        nn.MSELoss(),
        torch.optim.Adagrad(model.parameters(), lr=10.0 if fault else 0.2),
        100,
    )


@case(constant=Expect(("symmetric-init",), note="every weight set to the constant 0.05"))
def gradient_accumulated_sum_loss(fault):
    """The loss is a sum over the batch and the rate is small in proportion, as in old Torch scripts."""
    x = torch.randn(400, 15)
    y = (x[:, :1] * x[:, 1:2]).sign() * 0.5 + 0.5
    model = nn.Sequential(nn.Linear(15, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 1), nn.Sigmoid())
    if fault:
        for p in model.parameters():
            nn.init.constant_(p, 0.05 if p.dim() > 1 else 0.0)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.004, momentum=0.9)
    return Training(model, batches(x, y, size=64), nn.BCELoss(reduction="sum"), optimizer, 100)


class Set2Vec(nn.Module):
    """Points of varying number, with a mask; the pool is a masked mean."""

    def __init__(self, guarded):
        super().__init__()
        self.phi = nn.Sequential(nn.Linear(3, 48), nn.ReLU(), nn.Linear(48, 48), nn.ReLU())
        self.rho = nn.Sequential(nn.Linear(48, 32), nn.ReLU(), nn.Linear(32, 2))
        self.guarded = guarded

    def forward(self, points, mask):
        h = self.phi(points) * mask[..., None]
        count = mask.sum(1, keepdim=True)
        return self.rho(h.sum(1) / (count.clamp_min(1) if self.guarded else count))


@case(empty_set=Expect(("unsafe-op", "nonfinite-data"), note="a masked mean over a set with no points: 0/0"))
def deep_sets(fault):
    points = torch.randn(400, 10, 3)
    mask = (torch.rand(400, 10) < 0.5).float()
    mask[::20] = 0
    y = ((points[..., 0] * mask).sum(1) > 0).long()
    model = Set2Vec(not fault)
    return Training(
        model,
        batches(points, mask, y, size=64),
        nn.CrossEntropyLoss(),
        torch.optim.NAdam(model.parameters(), lr=3e-3),
        80,
    )
