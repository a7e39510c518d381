"""The trainings that run_overhead.py times: two language models with made-up tokens."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

VOCABULARY = 1_000
"""Tokens of the two language models."""


class LstmModel(nn.Module):
    """Embedding, two LSTM layers, decoder: 5.2 M parameters."""

    def __init__(self, width: int = 512) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, width)
        self.lstm = nn.LSTM(width, width, num_layers=2)
        self.decoder = nn.Linear(width, VOCABULARY)

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits of the next token, of tokens (time, batch)."""
        return self.decoder(self.lstm(self.embedding(tokens))[0])


class TransformerModel(nn.Module):
    """Embedding, six pre-norm encoder layers with a causal mask, decoder: 11.4 M parameters."""

    def __init__(self, width: int = 384, layers: int = 6) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, width)
        layer = nn.TransformerEncoderLayer(width, 6, 4 * width, dropout=0.0, batch_first=True, norm_first=True)
        self.body = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.decoder = nn.Linear(width, VOCABULARY)

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits of the next token, of tokens (batch, time)."""
        mask = nn.Transformer.generate_square_subsequent_mask(tokens.shape[1])
        return self.decoder(self.body(self.embedding(tokens), mask=mask, is_causal=True))


def _adamw(params: Sequence[Tensor]) -> torch.optim.Optimizer:
    return torch.optim.AdamW(params, lr=3e-4)


def _sgd(params: Sequence[Tensor]) -> torch.optim.Optimizer:
    return torch.optim.SGD(params, lr=0.5)


@dataclass(frozen=True)
class Workload:
    """A training whose steps are timed: `shape` is that of the tokens, `bound` the overhead allowed to steadygrad."""

    name: str
    model: Callable[[], nn.Module]
    optimizer: Callable[[Sequence[Tensor]], torch.optim.Optimizer]
    shape: tuple[int, int]
    bound: float

    def batches(self) -> list[Tensor]:
        """Sixteen batches of tokens as frequent as words are, by Zipf's law: there is something to learn."""
        frequencies = 1.0 / torch.arange(1, VOCABULARY + 1)
        count = self.shape[0] * self.shape[1]
        return [torch.multinomial(frequencies, count, replacement=True).view(self.shape) for _ in range(16)]


WORKLOADS = {
    "lstm": Workload("LSTM language model, SGD", LstmModel, _sgd, (35, 16), 0.02),
    "transformer": Workload("transformer, AdamW", TransformerModel, _adamw, (8, 64), 0.01),
}
