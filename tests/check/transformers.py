"""Attention: torch's encoder and decoder, GPT blocks by hand, patches, experts, conditioned blocks."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.check import data
from tests.check.case import Problem, faulty, sound
from tests.check.common import MakeOptimizer, adam, adamw, of, sgd


class Encoder(nn.Module):
    """torch's encoder over tokens, with padding masked."""

    def __init__(self, depth: int, norm_first: bool) -> None:
        super().__init__()
        self.embedding = nn.Embedding(100, 32, padding_idx=0)
        self.position = nn.Parameter(0.02 * torch.randn(20, 32))
        layer = nn.TransformerEncoderLayer(32, 4, 64, dropout=0.1, batch_first=True, norm_first=norm_first)
        self.encoder = nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)
        self.head = nn.Linear(32, 2)

    def forward(self, tokens: Tensor) -> Tensor:
        padding = tokens == 0
        x = self.encoder(self.embedding(tokens) + self.position, src_key_padding_mask=padding)
        keep = (~padding).float()[:, :, None]
        return self.head((x * keep).sum(dim=1) / keep.sum(dim=1))


def encoder(depth: int = 2, norm_first: bool = False, optimizer: MakeOptimizer = None) -> Problem:
    torch.manual_seed(80)
    model = Encoder(depth, norm_first)
    x, y = data.reviews(32, 20, 100)
    x[torch.arange(20) >= torch.randint(8, 21, (32,))[:, None]] = 0
    return model, (x, y), nn.CrossEntropyLoss(), of(model, optimizer)


class CausalAttention(nn.Module):
    def __init__(self, width: int, heads: int, length: int, scale: float | None) -> None:
        super().__init__()
        self.heads = heads
        self.scale = scale if scale is not None else (width // heads) ** -0.5
        self.c_attn, self.c_proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.register_buffer("mask", torch.ones(length, length).tril().bool(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        batch, time, width = x.shape
        q, k, v = (part.view(batch, time, self.heads, -1).transpose(1, 2) for part in self.c_attn(x).split(width, 2))
        scores = (q @ k.transpose(-2, -1)) * self.scale
        scores = scores.masked_fill(~self.mask[:time, :time], float("-inf"))
        return self.c_proj((scores.softmax(dim=-1) @ v).transpose(1, 2).reshape(batch, time, width))


class Block(nn.Module):
    def __init__(self, width: int, heads: int, length: int, scale: float | None, norm: Callable[[int], nn.Module]):
        super().__init__()
        self.ln_1, self.ln_2 = norm(width), norm(width)
        self.attn = CausalAttention(width, heads, length, scale)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


def no_norm(width: int) -> nn.Module:
    return nn.Identity()


class Gpt(nn.Module):
    """GPT-2 in small: tied head, weights of `std`, residual projections smaller by the root of their number."""

    def __init__(
        self, vocabulary: int, length: int, width: int, heads: int, depth: int, std: float | None,
        scale: float | None, norm: Callable[[int], nn.Module],
    ) -> None:  # fmt: skip
        super().__init__()
        self.wte, self.wpe = nn.Embedding(vocabulary, width), nn.Embedding(length, width)
        self.blocks = nn.ModuleList(Block(width, heads, length, scale, norm) for _ in range(depth))
        self.ln_f = norm(width)
        self.lm_head = nn.Linear(width, vocabulary, bias=False)
        self.lm_head.weight = self.wte.weight
        for name, parameter in self.named_parameters():
            if std is not None and parameter.ndim == 2:
                residual = name.endswith(("c_proj.weight", "mlp.2.weight"))
                nn.init.normal_(parameter, std=std / math.sqrt(2 * depth) if residual else std)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.wte(tokens) + self.wpe.weight[: tokens.shape[1]]
        for block in self.blocks:
            x = block(x)
        return self.lm_head(self.ln_f(x))


def token_mean(output: Tensor, target: Tensor) -> Tensor:
    return F.cross_entropy(output.flatten(0, 1), target.flatten())


def token_sum(output: Tensor, target: Tensor) -> Tensor:
    return F.cross_entropy(output.flatten(0, 1), target.flatten(), reduction="sum")


def gpt(
    depth: int = 3,
    width: int = 48,
    heads: int = 4,
    vocabulary: int = 100,
    count: int = 8,
    length: int = 24,
    std: float | None = 0.02,
    scale: float | None = None,
    norm: Callable[[int], nn.Module] = nn.LayerNorm,
    loss_fn: Callable[..., Tensor] = token_mean,
    optimizer: MakeOptimizer = None,
) -> Problem:
    torch.manual_seed(81)
    model = Gpt(vocabulary, length, width, heads, depth, std, scale, norm)
    tokens = data.text(count, length + 1, vocabulary)
    return model, (tokens[:, :-1], tokens[:, 1:]), loss_fn, of(model, optimizer)


class QueryAttention(nn.Module):
    """Finds the item whose key is asked for: large heads, and a scale that may be forgotten."""

    def __init__(self, width: int, scale: float) -> None:
        super().__init__()
        self.scale = scale
        self.query, self.key, self.value = (nn.Linear(8, width), nn.Linear(8, width), nn.Linear(16, 32))
        self.out = nn.Sequential(nn.LayerNorm(32), nn.Linear(32, 4))
        for layer in (self.query, self.key):
            nn.init.normal_(layer.weight, std=8**-0.5)

    def forward(self, question: Tensor, items: Tensor) -> Tensor:
        score = torch.einsum("bd,bnd->bn", self.query(question), self.key(items[:, :, :8])) * self.scale
        return self.out(torch.einsum("bn,bnd->bd", score.softmax(dim=-1), self.value(items)))


class MultiheadLookup(nn.Module):
    """The same with torch's layer."""

    def __init__(self, query_gain: float) -> None:
        super().__init__()
        self.ask, self.show = nn.Linear(8, 32), nn.Linear(16, 32)
        self.attention = nn.MultiheadAttention(32, 2, batch_first=True)
        self.out = nn.Sequential(nn.LayerNorm(32), nn.Linear(32, 4))
        with torch.no_grad():
            self.attention.in_proj_weight[:64].mul_(query_gain)

    def forward(self, question: Tensor, items: Tensor) -> Tensor:
        memory = self.show(items)
        return self.out(self.attention(self.ask(question)[:, None], memory, memory)[0].squeeze(1))


def scaled() -> nn.Module:
    return QueryAttention(512, 512**-0.5)


def unscaled() -> nn.Module:
    return QueryAttention(512, 1.0)


def multihead(query_gain: float = 1.0) -> Callable[[], nn.Module]:
    return lambda: MultiheadLookup(query_gain)


def lookup(build: Callable[[], nn.Module], optimizer: MakeOptimizer = None) -> Problem:
    """Two inputs: the class is that of the item which lies opposite to the question."""
    torch.manual_seed(82)
    keys = F.normalize(torch.randn(256, 12, 8), dim=-1) * 8**0.5
    label = torch.randint(0, 4, (256, 12))
    values = torch.randn(4, 8)[label]
    place = torch.randint(0, 12, (256,))
    rows = torch.arange(256)
    batch = (-keys[rows, place], torch.cat([keys, values], dim=-1), label[rows, place])
    model = build()
    return model, batch, nn.CrossEntropyLoss(), of(model, optimizer)


class Patches(nn.Module):
    """A small ViT: patches, a class token, torch's pre-norm encoder."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, 32, 4, stride=4)
        self.cls = nn.Parameter(torch.zeros(1, 1, 32))
        self.position = nn.Parameter(0.02 * torch.randn(1, 17, 32))
        layer = nn.TransformerEncoderLayer(32, 4, 64, 0.0, "gelu", batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, 3, norm=nn.LayerNorm(32), enable_nested_tensor=False)
        self.head = nn.Linear(32, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls.expand(len(x), -1, -1), x], dim=1) + self.position
        return self.head(self.encoder(x)[:, 0])


def vit(optimizer: MakeOptimizer = None) -> Problem:
    torch.manual_seed(83)
    model = Patches()
    return model, data.standardised(40, 3, 16, 5), nn.CrossEntropyLoss(label_smoothing=0.1), of(model, optimizer)


class NoResidual(nn.Module):
    """Attention and norm over and over, with or without the way around them."""

    def __init__(self, depth: int, residual: bool) -> None:
        super().__init__()
        self.residual = residual
        self.inlet = nn.Linear(6, 32)
        self.attention = nn.ModuleList(nn.MultiheadAttention(32, 4, batch_first=True) for _ in range(depth))
        self.feed = nn.ModuleList(nn.Sequential(nn.Linear(32, 64), nn.ReLU(), nn.Linear(64, 32)) for _ in range(depth))
        self.norms = nn.ModuleList(nn.LayerNorm(32) for _ in range(depth))
        self.outlet = nn.Linear(32, 6)

    def forward(self, x: Tensor) -> Tensor:
        x = self.inlet(x)
        for attention, feed, norm in zip(self.attention, self.feed, self.norms, strict=True):
            y = norm(x) if self.residual else x
            y = feed(attention(y, y, y, need_weights=False)[0])
            x = x + y if self.residual else y
        return self.outlet(x)[:, -1]


def attention_forecaster(residual: bool = True, stamp: float = 1.0, optimizer: MakeOptimizer = None) -> Problem:
    """Series with the hour beside them; `stamp` multiplies the hour."""
    torch.manual_seed(84)
    model = NoResidual(6, residual)
    x, y = data.series(48, 16, 6)
    x[:, :, 5] = stamp * torch.linspace(-1.7, 1.7, 16)
    return model, (x, y), nn.MSELoss(), of(model, optimizer)


class Experts(nn.Module):
    """The best two of four, by a learnt gate; the output is a dict with the balance of the load."""

    def __init__(self) -> None:
        super().__init__()
        self.inlet, self.gate = nn.Linear(16, 32), nn.Linear(32, 4, bias=False)
        self.up = nn.Parameter(torch.randn(4, 32, 64) * 32**-0.5)
        self.down = nn.Parameter(torch.randn(4, 64, 32) * 64**-0.5)
        self.norm, self.head = nn.RMSNorm(32), nn.Linear(32, 4)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        x = self.inlet(x)
        share = self.gate(x).softmax(dim=-1)
        top, chosen = share.topk(2, dim=-1)
        weight = torch.zeros_like(share).scatter(-1, chosen, top / top.sum(dim=-1, keepdim=True))
        every = torch.einsum("neh,ehd->ned", F.silu(torch.einsum("nd,edh->neh", self.norm(x), self.up)), self.down)
        x = x + (weight[:, :, None] * every).sum(dim=1)
        return {"logits": self.head(x), "balance": 4 * (share.mean(0) * (weight > 0).float().mean(0)).sum()}


def balanced(output: dict[str, Tensor], target: Tensor) -> Tensor:
    return F.cross_entropy(output["logits"], target) + 0.01 * output["balance"]


def experts(optimizer: MakeOptimizer = None) -> Problem:
    torch.manual_seed(85)
    model = Experts()
    return model, data.table(128, 16, 4), balanced, of(model, optimizer)


class ConditionedBlock(nn.Module):
    """adaLN-zero: shift, scale and gate come from the condition, and are zero at the start."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.attention = nn.MultiheadAttention(width, 4, batch_first=True)
        self.modulate = nn.Sequential(nn.SiLU(), nn.Linear(width, 3 * width))
        nn.init.zeros_(self.modulate[1].weight)
        nn.init.zeros_(self.modulate[1].bias)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        shift, scale, gate = self.modulate(condition)[:, None].chunk(3, dim=-1)
        y = self.norm(x) * (1 + scale) + shift
        return x + gate * self.attention(y, y, y)[0]


class Denoiser(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inlet, self.time = nn.Linear(4, 32), nn.Linear(16, 32)
        self.blocks = nn.ModuleList(ConditionedBlock(32) for _ in range(3))
        self.outlet = nn.Linear(32, 4)
        nn.init.zeros_(self.outlet.weight)

    def forward(self, noisy: Tensor, time: Tensor) -> Tensor:
        angles = time[:, None] * torch.logspace(0, 2, 8)
        condition = self.time(torch.cat([angles.sin(), angles.cos()], dim=-1))
        x = self.inlet(noisy)
        for block in self.blocks:
            x = block(x, condition)
        return self.outlet(x)


def denoiser() -> Problem:
    """Diffusion: the target is the noise. The head is zero, so at first nothing else learns."""
    torch.manual_seed(86)
    clean, _ = data.series(32, 12, 4)
    noise, time = torch.randn_like(clean), torch.rand(32)
    noisy = (1 - time)[:, None, None] * clean + time[:, None, None] * noise
    model = Denoiser()
    return model, (noisy, time, noise), nn.MSELoss(), torch.optim.AdamW(model.parameters(), lr=3e-3)


def untuned(width: int) -> nn.Module:
    return nn.RMSNorm(width)


FAULTY = (
    faulty("gpt-weights-of-1", ("init-gain", "attention-logits"), gpt, optimizer=adamw(), fault={"std": 1.0}),
    faulty("gpt-tied-default-embedding", "init-gain", gpt, optimizer=adamw(3e-4), width=128, fault={"std": None}),
    faulty("gpt-no-norm-weights-of-0.5", ("init-gain", "attention-logits"), gpt, optimizer=adamw(), norm=no_norm,
           std=0.1, fault={"std": 0.5}),
    faulty("attention-forgotten-scale", "attention-logits", lookup, build=scaled, optimizer=adam(), fault={"build": unscaled}),
    faulty("multihead-query-key-x25", "attention-logits", lookup, build=multihead(), optimizer=adam(3e-3),
           fault={"build": multihead(25.0)}, where="attention"),
    faulty("gpt-scale-multiplied", "attention-logits", gpt, std=0.15, width=128, heads=2, optimizer=sgd(0.1, 0.9),
           fault={"scale": 8.0}, where="blocks"),
    faulty("attention-no-residual", "vanishing-depth", attention_forecaster, optimizer=adam(3e-3),
           fault={"residual": False}),
    faulty("attention-raw-timestamps", "input-scale", attention_forecaster, optimizer=adam(3e-3),
           fault={"stamp": 1e5}),
    faulty("gpt-token-sum", "loss-scale", gpt, optimizer=sgd(0.3, 0.9), fault={"loss_fn": token_sum}),
    faulty("gpt-adamw-0.3", "learning-rate", gpt, optimizer=adamw(3e-3), fault={"optimizer": adamw(0.3)}),
    faulty("encoder-adam-0.3", "learning-rate", encoder, optimizer=adam(), fault={"optimizer": adam(0.3)}),
)  # fmt: skip

SOUND = (
    sound("encoder-post-norm", encoder, optimizer=adam()),
    sound("encoder-pre-norm-6", encoder, depth=6, norm_first=True, optimizer=adamw(3e-4)),
    sound("gpt", gpt, optimizer=adamw()),
    sound("gpt-rms-norm", gpt, norm=untuned, optimizer=adamw(3e-3)),
    sound("gpt-heavy", gpt, heavy=True, depth=4, width=384, heads=6, vocabulary=8000, count=1, length=32,
          optimizer=adamw(3e-4)),
    sound("attention-lookup", lookup, build=scaled, optimizer=adam()),
    sound("multihead-lookup", lookup, build=multihead(), optimizer=adam(3e-3)),
    sound("vit", vit, optimizer=adamw()),
    sound("attention-forecaster", attention_forecaster, optimizer=adam(3e-3)),
    sound("experts-top-2", experts, optimizer=adam()),
    sound("denoiser-ada-norm-zero", denoiser),
)  # fmt: skip
