"""`examples/vision.py`: its data, and what its net learns with sound weights."""

import pytest
import torch


def test_the_digits(example):
    (images, labels), (held_out, held_out_labels) = example.load_digits()
    assert images.shape[1:] == held_out.shape[1:] == (1, 8, 8)
    assert len(images) + len(held_out) == 1797
    assert len(held_out) == 450
    assert 0.0 == images.min() < images.max() == 1.0
    shares = [part.bincount(minlength=10) / len(part) for part in (labels, held_out_labels)]
    assert torch.allclose(*shares, atol=0.01), "each digit has its share in both parts"


@pytest.mark.slow
def test_with_sound_weights_it_learns(example, run, monkeypatch):
    """Model and measures are right: what goes wrong by default is the first weights."""
    kaiming = torch.nn.init.kaiming_normal_
    monkeypatch.setattr(torch.nn.init, "normal_", lambda weight, std: kaiming(weight, nonlinearity="relu"))
    result = run("--steps", 400).splitlines()[-1]
    assert float(result.split("accuracy ")[1].split(",")[0]) > 0.8
