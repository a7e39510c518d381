"""Trainings whose scripts clip gradients to a thousandth: what a step does is measured behind that clip."""

import pytest
import torch
from torch import nn

import steadygrad as sg

WORDS, TIMES, TEXTS = 30, 24, 32


class Reader(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.embedding = nn.Embedding(WORDS, 32)
        self.cell, self.head = nn.LSTM(32, 64, batch_first=True), nn.Linear(64, WORDS)

    def forward(self, tokens):
        return self.head(self.cell(self.embedding(tokens))[0])


def texts(step):
    """Each word is one of two after the word before it."""
    generator = torch.Generator().manual_seed(step)
    follow = torch.stack([torch.randperm(WORDS, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1)])
    tokens = [torch.randint(WORDS, (TEXTS,), generator=generator)]
    for _ in range(TIMES):
        tokens.append(follow[(torch.rand(TEXTS, generator=generator) < 0.2).long(), tokens[-1]])
    return torch.stack(tokens, 1)


@pytest.mark.parametrize(("rate", "sound"), [(5e-3, True), (2.0, False)])
def test_a_sum_over_a_batch_that_is_clipped_under_adam_is_sound_at_a_rate_that_is(rate, sound, tmp_path):
    """Its loss is that of thousands of terms, and its second moments are those of clipped gradients."""
    model = Reader()
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    with sg.watch(model, optimizer, record=tmp_path) as watch:
        for step in range(40):
            tokens = texts(step)
            logits = model(tokens[:, :-1]).flatten(0, 1)
            loss = nn.functional.cross_entropy(logits, tokens[:, 1:].flatten(), reduction="sum")
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 0.25)
            optimizer.step()
    run = sg.open_run(watch.run)
    assert (run.verdict == "healthy") == sound
    assert sound or run.findings()[0].cause == "learning-rate"
