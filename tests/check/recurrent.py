"""torch's recurrent layers: stacked, in both directions, packed, either batch order, cells in a loop."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence

from tests.check import data
from tests.check.case import Problem, faulty, sound
from tests.check.common import MakeOptimizer, adam, adamw, of, sgd

Weights = Callable[[str, Tensor], object]
"""Does something to a recurrent layer's parameter, given its name."""


def recurrent_normal(std: float) -> Weights:
    return lambda name, weight: nn.init.normal_(weight, std=std) if "weight_hh" in name else None


def recurrent_orthogonal(gain: float = 1.0) -> Weights:
    return lambda name, weight: nn.init.orthogonal_(weight, gain=gain) if "weight_hh" in name else None


def multiplied(factor: float) -> Weights:
    return lambda name, weight: weight.mul_(factor) if "weight_hh" in name else None


def forget_bias(value: float) -> Weights:
    """Half of it in each of the two biases that torch adds up."""

    def apply(name: str, weight: Tensor) -> None:
        if "bias" in name:
            quarter = weight.numel() // 4
            weight[quarter : 2 * quarter] = value / 2

    return apply


def fill_recurrent(layer: nn.RNNBase, weights: Weights | None) -> None:
    with torch.no_grad():
        for name, weight in layer.named_parameters():
            if weights:
                weights(name, weight)


class LastStep(nn.Module):
    """Reads a sequence and answers at its end."""

    def __init__(self, rnn: nn.RNNBase, outputs: int) -> None:
        super().__init__()
        self.rnn = rnn
        self.out = nn.Linear(rnn.hidden_size, outputs)

    def forward(self, x: Tensor) -> Tensor:
        states, _ = self.rnn(x)
        return self.out(states[:, -1])


def forecaster(
    rnn: Callable[..., nn.RNNBase] = nn.LSTM,
    length: int = 24,
    weights: Weights | None = None,
    scale: float = 1.0,
    shift: float = 0.0,
    loss_fn: Callable[..., Tensor] | None = None,
    optimizer: MakeOptimizer = None,
) -> Problem:
    """The next value of a series, standardised; `scale` and `shift` act on the inputs only."""
    torch.manual_seed(40)
    model = LastStep(rnn(1, 32, batch_first=True), 1)
    fill_recurrent(model.rnn, weights)
    x, y = data.series(64, length)
    return model, (x * scale + shift, y), loss_fn or nn.MSELoss(), of(model, optimizer)


def memory(
    rnn: Callable[..., nn.RNNBase] = nn.RNN,
    length: int = 60,
    weights: Weights | None = None,
    optimizer: MakeOptimizer = None,
) -> Problem:
    """Whether the first value of a sequence was positive, asked at its end."""
    torch.manual_seed(41)
    model = LastStep(rnn(2, 32, batch_first=True), 2)
    fill_recurrent(model.rnn, weights)
    return model, data.recall(256, length), nn.CrossEntropyLoss(), of(model, optimizer)


class Tagger(nn.Module):
    """Time first, both directions, an answer at every step."""

    def __init__(self, layers: int, vocabulary: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, 24)
        self.gru = nn.GRU(24, 24, num_layers=layers, bidirectional=True, dropout=0.2 if layers > 1 else 0.0)
        self.out = nn.Linear(48, 2)

    def forward(self, tokens: Tensor) -> Tensor:
        states, _ = self.gru(self.embedding(tokens.T))
        return self.out(states).permute(1, 2, 0)


def tagger(layers: int = 2, weights: Weights | None = None, optimizer: MakeOptimizer = None) -> Problem:
    torch.manual_seed(42)
    model = Tagger(layers, 60)
    fill_recurrent(model.gru, weights)
    x = torch.randint(0, 60, (16, 25))
    return model, (x, (x > x.roll(1, dims=1)).long()), nn.CrossEntropyLoss(), of(model, optimizer)


class Sentiment(nn.Module):
    """Texts of different lengths, packed; the last states of both directions decide."""

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, 32, padding_idx=0)
        self.lstm = nn.LSTM(32, 32, num_layers=2, batch_first=True, bidirectional=True, dropout=0.5)
        self.classifier = nn.Sequential(nn.Dropout(0.5), nn.Linear(64, 2))

    def forward(self, tokens: Tensor, lengths: Tensor, labels: Tensor | None = None) -> dict[str, Tensor]:
        packed = pack_padded_sequence(self.embedding(tokens), lengths, batch_first=True, enforce_sorted=False)
        _, (hidden, _) = self.lstm(packed)
        out = {"logits": self.classifier(torch.cat([hidden[-2], hidden[-1]], dim=1))}
        if labels is not None:
            out["loss"] = F.cross_entropy(out["logits"], labels)
        return out


def sentiment(style: str) -> Problem:
    """The same model with its batch as a tuple of several inputs, or as a dict from which it makes its own loss."""
    torch.manual_seed(43)
    model = Sentiment(5000)
    x, y = data.reviews(32, 30, 5000)
    lengths = torch.randint(10, 31, (32,))
    x[torch.arange(30) >= lengths[:, None]] = 0
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    if style == "dict":
        return model, {"tokens": x, "lengths": lengths, "labels": y}, None, optimizer

    def loss_fn(output: dict[str, Tensor], target: Tensor) -> Tensor:
        return F.cross_entropy(output["logits"], target)

    return model, (x, lengths, y), loss_fn, optimizer


class LanguageModel(nn.Module):
    """Embedding, LSTM, and a head that may be the embedding again."""

    def __init__(self, vocabulary: int, width: int, tied: bool) -> None:
        super().__init__()
        self.encoder = nn.Embedding(vocabulary, width)
        self.lstm = nn.LSTM(width, width, num_layers=2)
        self.drop = nn.Dropout(0.2)
        self.decoder = nn.Linear(width, vocabulary)
        nn.init.uniform_(self.encoder.weight, -0.1, 0.1)
        nn.init.zeros_(self.decoder.bias)
        if tied:
            self.decoder.weight = self.encoder.weight

    def forward(self, tokens: Tensor) -> Tensor:
        states, _ = self.lstm(self.drop(self.encoder(tokens)))
        return self.decoder(self.drop(states)).flatten(0, 1)


def language_model(
    vocabulary: int = 200,
    tied: bool = True,
    loss_fn: Callable[..., Tensor] = F.cross_entropy,
    optimizer: MakeOptimizer = None,
) -> Problem:
    torch.manual_seed(44)
    model = LanguageModel(vocabulary, 48, tied)
    tokens = data.text(12, 31, min(vocabulary, 200)).T
    return model, (tokens[:-1], tokens[1:].flatten()), loss_fn, of(model, optimizer)


class CellLoop(nn.Module):
    """nn.LSTMCell by hand, carrying its forecast on."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.cell = nn.LSTMCell(features, 40)
        self.out = nn.Linear(40, features)

    def forward(self, x: Tensor) -> Tensor:
        h = c = x.new_zeros(len(x), 40)
        for step in x.unbind(dim=1):
            h, c = self.cell(step, (h, c))
        first = self.out(h)
        h, _ = self.cell(first, (h, c))
        return first + 0.1 * self.out(h)


def cell_loop(loss_fn: Callable[..., Tensor] | None = None, optimizer: MakeOptimizer = None) -> Problem:
    torch.manual_seed(45)
    model = CellLoop(3)
    return model, data.series(48, 20, 3), loss_fn or nn.L1Loss(), of(model, optimizer)


class Reader(nn.Module):
    """An LSTM over frames that a convolution has made."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(8, 16, 5, stride=2)
        self.lstm = nn.LSTM(16, 32, batch_first=True)
        self.out = nn.Linear(32, 4)

    def forward(self, x: Tensor) -> Tensor:
        frames = F.relu(self.conv(x)).transpose(1, 2)
        return self.out(self.lstm(frames)[0].mean(dim=1))


def reader() -> Problem:
    torch.manual_seed(46)
    x = torch.randn(40, 8, 60)
    label = torch.arange(40) % 4
    x[torch.arange(40), label] += 1.5
    model = Reader()
    return model, (x, label), nn.CrossEntropyLoss(), torch.optim.AdamW(model.parameters(), lr=3e-3)


def relu_rnn(features: int, width: int, batch_first: bool) -> nn.RNN:
    return nn.RNN(features, width, nonlinearity="relu", batch_first=batch_first)


def two_layers(features: int, width: int, batch_first: bool) -> nn.RNN:
    return nn.RNN(features, width, num_layers=2, batch_first=batch_first)


def identity_recurrence(name: str, weight: Tensor) -> None:
    """IRNN."""
    if "weight_hh" in name:
        nn.init.eye_(weight)
    elif "weight_ih" in name:
        nn.init.normal_(weight, std=0.03)
    else:
        nn.init.zeros_(weight)


def overwriting_gru(name: str, weight: Tensor) -> None:
    """Update gates shut at the start: each step replaces the state, and hardly looks at it."""
    if "bias" in name:
        third = weight.numel() // 3
        weight[third : 2 * third] = -3.0
    elif "weight_hh" in name:
        weight.mul_(0.3)


def summed_squares(output: Tensor, target: Tensor) -> Tensor:
    return ((output - target) ** 2).sum()


FAULTY = (
    faulty("rnn-relu-expanding", "recurrent-gain", forecaster, rnn=relu_rnn, length=40, weights=recurrent_orthogonal(),
           fault={"weights": recurrent_orthogonal(1.8)}, where="rnn", optimizer=adam()),
    faulty("rnn-tanh-weights-of-0.5", "recurrent-gain", memory, rnn=two_layers, weights=recurrent_orthogonal(),
           fault={"weights": recurrent_normal(0.5)}, where="rnn", optimizer=adam(3e-3)),
    faulty("lstm-weights-of-2", "recurrent-gain", memory, rnn=nn.LSTM, length=60, weights=forget_bias(4.0),
           fault={"weights": recurrent_normal(2.0)}, where="rnn", optimizer=adam(1e-2)),
    faulty("gru-tagger-x12", "recurrent-gain", tagger, layers=1, optimizer=adam(1e-2),
           fault={"weights": multiplied(12.0)}, where="gru"),
    faulty("rnn-tiny-weights", "vanishing-recurrent", memory, length=100, weights=recurrent_orthogonal(), optimizer=adam(),
           fault={"weights": recurrent_normal(0.01)}, where="rnn"),
    faulty("rnn-default-200-steps", "vanishing-recurrent", memory, length=200, rnn=relu_rnn, optimizer=adam(1e-3),
           weights=identity_recurrence, fault={"rnn": nn.RNN, "weights": None}, where="rnn"),
    faulty("lstm-forget-bias-minus-5", "vanishing-recurrent", memory, rnn=nn.LSTM, weights=forget_bias(5.0),
           fault={"weights": forget_bias(-5.0)}, where="rnn", optimizer=adam(1e-2)),
    faulty("gru-overwrites", "vanishing-recurrent", memory, rnn=nn.GRU, weights=recurrent_orthogonal(),
           fault={"weights": overwriting_gru}, where="rnn", optimizer=adam(1e-2)),
    faulty("lstm-raw-prices", "input-scale", forecaster, optimizer=adam(3e-3), fault={"scale": 2500.0, "shift": 4e4}),
    faulty("lstm-cell-summed", "loss-scale", cell_loop, loss_fn=nn.MSELoss(), optimizer=sgd(0.1, 0.9),
           fault={"loss_fn": summed_squares}),
    faulty("lstm-lm-adam-0.3", "learning-rate", language_model, optimizer=adam(1e-2), fault={"optimizer": adam(0.3)}),
    faulty("rnn-sgd-3", "learning-rate", forecaster, rnn=nn.RNN, optimizer=sgd(0.05),
           fault={"optimizer": sgd(3.0)}),
)  # fmt: skip

SOUND = (
    sound("rnn-tanh-forecaster", forecaster, rnn=nn.RNN, optimizer=adam(3e-3)),
    sound("lstm-forecaster", forecaster, optimizer=adam(3e-3)),
    sound("gru-stacked-forecaster", forecaster, rnn=lambda *size, **options: nn.GRU(*size, num_layers=2, **options),
          optimizer=adam(3e-3)),
    sound("gru-tagger-bidirectional", tagger, optimizer=adamw(3e-3)),
    sound("lstm-sentiment-packed", sentiment, style="tuple"),
    sound("lstm-sentiment-dict", sentiment, style="dict"),
    sound("lstm-lm-tied", language_model, optimizer=adam(3e-3)),
    sound("lstm-lm-vocabulary-30000", language_model, vocabulary=30000, tied=False, optimizer=adam(3e-3)),
    sound("lstm-cell-loop", cell_loop, optimizer=adam(3e-3)),
    sound("lstm-over-convolution", reader),
    sound("irnn-60", memory, rnn=relu_rnn, weights=identity_recurrence, optimizer=adam()),
    sound("rnn-orthogonal-60", memory, weights=recurrent_orthogonal(), optimizer=adam(3e-3)),
    sound("lstm-forget-bias-5", memory, rnn=nn.LSTM, weights=forget_bias(5.0), optimizer=adam(1e-2)),
)  # fmt: skip
