"""`examples/transformer.py`: it sees no future, and trains at a usual rate."""

import sys
from pathlib import Path

import pytest
import torch

SCRIPT = Path(__file__).parents[2] / "examples" / "transformer.py"


def test_a_character_is_foretold_from_those_before_it_alone(example):
    torch.manual_seed(0)
    model = example.Transformer(vocabulary=11, length=8, width=12, heads=3, layers=2)
    text = torch.randint(11, (2, 8))
    other = text.clone()
    other[:, 5:] = (other[:, 5:] + 1) % 11
    assert torch.allclose(model(text)[:, :5], model(other)[:, :5], atol=1e-6)
    assert not torch.allclose(model(text)[:, 5:], model(other)[:, 5:], atol=1e-2)


def test_the_bigram_model_of_what_is_certain_needs_no_bits(example):
    text = [0, 1, 2] * 2000
    assert example.bigram_bits(text, text, 3) < 0.01
    noise = torch.randint(8, (40_000,), generator=torch.Generator().manual_seed(0)).tolist()
    assert example.bigram_bits(noise[:20_000], noise[20_000:], 8) == pytest.approx(3.0, abs=0.02)


def test_all_of_the_held_out_text_is_foretold_once(example):
    seen = []

    def uniform(read):
        seen.append(read)
        return torch.zeros(*read.shape, 10)

    data = torch.arange(1001) % 10
    assert example.validate(uniform, data, 32) == pytest.approx(torch.tensor(10.0).log().item())
    assert torch.equal(torch.cat(seen).flatten(), data[:992])


@pytest.mark.slow
def test_at_a_sound_rate_it_is_better_than_bigrams(run):
    """Model and measures are right: what goes wrong by default is the rate."""
    result = run("--lr", 0.01, "--steps", 240).splitlines()[-1]
    bits, bigrams = (float(part.rsplit(" ", 1)[1]) for part in result.split(", "))
    assert bits < bigrams < 3.5


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--width", "50"), "--width 50: expected a multiple of --heads, 4"),
        (("--length", "1000000"), "--length 1000000: the held-out text has "),
        (("--steps", "0"), "numbers of steps, batches, lengths, heads and layers have to be 1 or more, --lr from 0 on"),
    ],
)
def test_what_cannot_be_is_refused(runner, words, message):
    done = runner.bare(sys.executable, str(SCRIPT), *words)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
