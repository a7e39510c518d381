"""A GRU that predicts the next character of Python's own help texts, driven by a small Trainer class.

Cause: missing-zero-grad
Fails: the loss stops falling near 3.5 and swings there (2.1 when sound)
"""

from dataclasses import dataclass
from pydoc_data import topics

import torch
import torch.nn.functional as F
from torch import nn


@dataclass
class Config:
    batch: int = 16
    length: int = 24
    hidden: int = 64
    lr: float = 3e-3
    steps: int = 250
    seed: int = 5


class CharModel(nn.Module):
    def __init__(self, vocabulary: int, hidden: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, 32)
        self.gru = nn.GRU(32, hidden, batch_first=True)
        self.decoder = nn.Linear(hidden, vocabulary)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        states, _ = self.gru(self.embedding(ids))
        return self.decoder(states)


class Trainer:
    def __init__(self, model: nn.Module, text: torch.Tensor, config: Config) -> None:
        self.model = model
        self.text = text
        self.config = config
        self.optimizer = torch.optim.Adam(model.parameters(), lr=config.lr)
        self.history: list[float] = []

    def sample(self) -> torch.Tensor:
        starts = torch.randint(0, len(self.text) - self.config.length - 1, (self.config.batch,))
        return torch.stack([self.text[s : s + self.config.length + 1] for s in starts.tolist()])

    def train_step(self) -> float:
        batch = self.sample()
        logits = self.model(batch[:, :-1])
        loss = F.cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten())
        loss.backward()
        self.optimizer.step()
        # fix: self.optimizer.zero_grad()
        return loss.item()

    def fit(self) -> None:
        for step in range(self.config.steps):
            self.history.append(self.train_step())
            if step % 50 == 0:
                print(f"step {step:4d}  loss {self.history[-1]:.3f}")


config = Config()
torch.manual_seed(config.seed)
raw = "".join(topics.topics[key] for key in sorted(topics.topics))[:30000]
alphabet = sorted(set(raw))
lookup = {c: i for i, c in enumerate(alphabet)}
text = torch.tensor([lookup[c] for c in raw])
trainer = Trainer(CharModel(len(alphabet), config.hidden), text, config)
trainer.fit()
print("final loss", sum(trainer.history[-10:]) / 10)
