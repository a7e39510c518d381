"""Promise 1: a watched run in which nothing fires is bit-identical to the bare run."""

import pytest
import torch

from tests.trainings import ARCHITECTURES, OPTIMIZERS, identical, train


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_healthy_run_is_bit_identical(architecture, optimizer, tmp_path):
    bare = train(architecture, optimizer)
    watched = train(architecture, optimizer, watched=True, record=tmp_path)
    assert watched.losses == bare.losses
    assert identical(watched.state, bare.state)
    assert torch.equal(watched.rng, bare.rng)


def test_the_comparison_can_fail():
    assert not identical(train("mlp", "adam", seed=0).state, train("mlp", "adam", seed=1).state)
