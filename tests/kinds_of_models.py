"""Models of many kinds, ways to spoil their weights, and what a signal does in them, measured by plain hooks."""

import itertools
import math

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence


def chain(depth=12, width=32, activation=nn.ReLU, classes=5):
    layers = [nn.Linear(10, width), activation()]
    for _ in range(depth):
        layers += [nn.Linear(width, width), activation()]
    return nn.Sequential(*layers, nn.Linear(width, classes))


def conv_chain(depth=8, width=16):
    layers = [nn.Conv2d(3, width, 3, padding=1), nn.ReLU()]
    for _ in range(depth):
        layers += [nn.Conv2d(width, width, 3, padding=1), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 5))


class Residual(nn.Module):
    """Blocks added in a top-level loop; no norm."""

    def __init__(self, blocks=10, width=32, norm=False, conv=False):
        super().__init__()

        def layer():
            return nn.Conv2d(width, width, 3, padding=1, bias=not norm) if conv else nn.Linear(width, width)

        def normed():
            return [nn.BatchNorm2d(width) if conv else nn.LayerNorm(width)] if norm else []

        self.stem = nn.Conv2d(3, width, 3, padding=1) if conv else nn.Linear(10, width)
        self.blocks = nn.ModuleList(
            nn.Sequential(layer(), *normed(), nn.ReLU(), layer(), *normed()) for _ in range(blocks)
        )
        self.head = nn.Linear(width, 5)

    def forward(self, x):
        x = self.stem(x)
        for block in self.blocks:
            x = x + block(x)
        return self.head(x.mean((2, 3)) if x.ndim == 4 else x)


class GPT(nn.Module):
    """Hand-written, pre-LN, packed projections, attention written out."""

    def __init__(self, layers=4, width=32, heads=4, words=50, tied=False, dropout=0.0):
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.tokens, self.places = nn.Embedding(words, width), nn.Embedding(16, width)
        self.blocks = nn.ModuleList(
            nn.ModuleDict(
                {
                    "n1": nn.LayerNorm(width), "qkv": nn.Linear(width, 3 * width), "out": nn.Linear(width, width),
                    "n2": nn.LayerNorm(width), "up": nn.Linear(width, 4 * width), "down": nn.Linear(4 * width, width),
                }
            )
            for _ in range(layers)
        )  # fmt: skip
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, words, bias=False)
        if tied:
            self.head.weight = self.tokens.weight

    def attend(self, block, x):
        batch, length, width = x.shape
        q, k, v = (
            part.view(batch, length, self.heads, -1).transpose(1, 2) for part in block["qkv"](x).chunk(3, dim=-1)
        )
        logits = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
        hidden = torch.ones(length, length, dtype=torch.bool).triu(1)
        mixed = logits.masked_fill(hidden, -torch.inf).softmax(-1) @ v
        return block["out"](mixed.transpose(1, 2).reshape(batch, length, width))

    def forward(self, tokens, targets=None):
        x = self.tokens(tokens) + self.places(torch.arange(tokens.shape[1]))
        for block in self.blocks:
            x = x + F.dropout(self.attend(block, block["n1"](x)), self.dropout, self.training)
            x = x + F.dropout(block["down"](F.gelu(block["up"](block["n2"](x)))), self.dropout, self.training)
        logits = self.head(self.norm(x))
        if targets is None:
            return logits
        return {"logits": logits, "loss": F.cross_entropy(logits.flatten(0, 1), targets.flatten())}


class Encoder(nn.Module):
    """torch's own transformer layers."""

    def __init__(self, layers=4, width=32, pre=False):
        super().__init__()
        self.inner = nn.Linear(10, width)
        self.layers = nn.TransformerEncoder(
            nn.TransformerEncoderLayer(width, 4, 64, batch_first=True, norm_first=pre), layers,
            enable_nested_tensor=False,
        )  # fmt: skip
        self.head = nn.Linear(width, 5)

    def forward(self, x):
        return self.head(self.layers(self.inner(x)).mean(1))


class Recurrent(nn.Module):
    """An embedding, a recurrent module of torch's, a head; packed if lengths come."""

    def __init__(self, kind="LSTM", layers=1, sides=1, width=24, **options):
        super().__init__()
        self.words = nn.Embedding(30, 16, padding_idx=0)
        self.rnn = getattr(nn, kind)(16, width, layers, batch_first=True, bidirectional=sides == 2, **options)
        self.head = nn.Linear(sides * (options.get("proj_size") or width), 5)

    def forward(self, tokens, lengths=None):
        x = self.words(tokens)
        if lengths is not None:
            x = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        _, state = self.rnn(x)
        state = state[0] if isinstance(state, tuple) else state
        sides = 2 if self.rnn.bidirectional else 1
        return self.head(torch.cat(tuple(state[-sides:]), -1))


class HandLSTM(nn.Module):
    """Four gates from one linear layer on input and state side by side."""

    def __init__(self, width=16):
        super().__init__()
        self.width = width
        self.gates = nn.Linear(6 + width, 4 * width)
        self.head = nn.Linear(width, 3)

    def forward(self, x):
        h = c = x.new_zeros(x.shape[0], self.width)
        for step in x.unbind(1):
            i, f, g, o = self.gates(torch.cat([step, h], -1)).chunk(4, -1)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            h = o.sigmoid() * c.tanh()
        return self.head(h)


class HandRNN(nn.Module):
    """Raw parameters, no layers inside."""

    def __init__(self, width=16, activation=torch.tanh):
        super().__init__()
        self.W, self.U = nn.Parameter(torch.randn(6, width) / 3), nn.Parameter(torch.randn(width, width) / 4)
        self.b = nn.Parameter(torch.zeros(width))
        self.V = nn.Parameter(torch.randn(width, 3) / 4)
        self.activation = activation

    def forward(self, x):
        h = x.new_zeros(x.shape[0], self.U.shape[0])
        for step in x.unbind(1):
            h = self.activation(step @ self.W + h @ self.U + self.b)
        return h @ self.V


class Seq2Seq(nn.Module):
    """Two inputs, a GRU each, attention between, a dict as output."""

    def __init__(self, width=24):
        super().__init__()
        self.source, self.target = nn.Embedding(20, width), nn.Embedding(20, width)
        self.encoder, self.decoder = nn.GRU(width, width, batch_first=True), nn.GRU(width, width, batch_first=True)
        self.query, self.head = nn.Linear(width, width), nn.Linear(2 * width, 20)

    def forward(self, source, target):
        memory, state = self.encoder(self.source(source))
        steps, _ = self.decoder(self.target(target), state)
        weights = (self.query(steps) @ memory.transpose(1, 2) / math.sqrt(memory.shape[-1])).softmax(-1)
        return {"logits": self.head(torch.cat([steps, weights @ memory], -1))}


class Reused(nn.Module):
    """One layer used five times, called before one that is registered earlier."""

    def __init__(self, width=32):
        super().__init__()
        self.head = nn.Linear(width, 4)
        self.again = nn.Linear(width, width)
        self.first = nn.Linear(10, width)

    def forward(self, x):
        x = self.first(x)
        for _ in range(5):
            x = self.again(F.relu(x))
        return self.head(F.relu(x))


def vectors(n=64):
    return torch.randn(n, 10)


def images(n=8):
    return torch.randn(n, 3, 12, 12)


def words(n=8, length=12, count=30):
    return torch.randint(1, count, (n, length))


def series(n=16, length=12, width=6):
    return torch.randn(n, length, width)


MODELS = {
    "relu-chain": (lambda: chain(), vectors),
    "tanh-chain": (lambda: chain(activation=nn.Tanh), vectors),
    "gelu-chain": (lambda: chain(activation=nn.GELU), vectors),
    "conv-chain": (lambda: conv_chain(), images),
    "residual": (lambda: Residual(), vectors),
    "residual-60": (lambda: Residual(60, 16), vectors),
    "residual-conv": (lambda: Residual(6, 16, conv=True), images),
    "residual-batchnorm": (lambda: Residual(6, 16, norm=True, conv=True), images),
    "gpt": (lambda: GPT(), lambda: words(count=50)),
    "gpt-tied": (lambda: GPT(tied=True), lambda: words(count=50)),
    "post-norm": (lambda: Encoder(), lambda: series(width=10)),
    "pre-norm": (lambda: Encoder(pre=True), lambda: series(width=10)),
    "rnn": (lambda: Recurrent("RNN"), words),
    "rnn-relu": (lambda: Recurrent("RNN", nonlinearity="relu"), words),
    "lstm": (lambda: Recurrent("LSTM"), words),
    "lstm-stacked-both-ways": (lambda: Recurrent("LSTM", 2, 2), words),
    "lstm-projected": (lambda: Recurrent("LSTM", 2, proj_size=8), words),
    "gru-packed": (lambda: Recurrent("GRU", 2), lambda: (words(), torch.arange(5, 13))),
    "hand-lstm": (lambda: HandLSTM(), series),
    "hand-rnn": (lambda: HandRNN(), series),
    "seq2seq": (lambda: Seq2Seq(), lambda: (words(count=20), words(count=20))),
    "reused": (lambda: Reused(), vectors),
}


@torch.no_grad()
def spoil(model, fault):
    """Plant a fault of initialisation."""
    for name, param in model.named_parameters():
        if "norm" in name or ".n1" in name or ".n2" in name or _is_norm(model, name):
            continue
        matrix = param.ndim > 1
        if fault == "normal" and matrix:
            param.normal_()
        elif fault == "gain-5" and matrix:
            param.mul_(5)
        elif fault == "tiny" and matrix:
            param.mul_(0.01)
        elif fault == "constant" and matrix:
            param.fill_(0.05)
        elif fault == "zero" and matrix:
            param.zero_()
        elif fault == "bias" and not matrix:
            param.fill_(-10)
        elif fault == "huge" and matrix:
            param.mul_(1e20)
        elif fault == "recurrent" and matrix and ("hh" in name or name in ("U", "gates.weight")):
            param.mul_(4)


def _is_norm(model, name):
    return "Norm" in type(model.get_submodule(name.rpartition(".")[0])).__name__


FAULTS = ("none", "normal", "gain-5", "tiny", "constant", "zero", "bias", "huge", "recurrent")


def rms(value):
    value = value[0] if isinstance(value, tuple) else value
    return value.detach().double().square().mean().sqrt().item()


def sizes_of(model, batch, kinds):
    """The root mean square of what each module of some kinds gives, in call order."""
    from steadygrad.measure.calling import call_model
    from steadygrad.measure.undisturbed import undisturbed

    seen = []
    handles = [
        module.register_forward_hook(lambda module, args, output: seen.append(rms(output)))
        for module in model.modules()
        if isinstance(module, kinds)
    ]
    with undisturbed(model), torch.no_grad():
        call_model(model, batch)
    for handle in handles:
        handle.remove()
    return seen


def gains(sizes):
    return [after / before if before else math.inf for before, after in itertools.pairwise(sizes)]


def geometric_mean(values):
    return math.exp(sum(math.log(value) for value in values) / len(values)) if values else 1.0
