"""The casebook is in order: its cases can be made, are the same every time, and keep the contract of batches."""

import copy
import math
from collections import Counter

import pytest
import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from tests.check.case import KINDS, Case, loss_of
from tests.check.cases import FAULTY, SOUND

LEAST = {
    "init-gain": 10,
    "recurrent-gain": 5,
    "learning-rate": 5,
    "loss-scale": 5,
    "input-scale": 4,
    "symmetric-init": 3,
    "attention-logits": 3,
    "vanishing-depth": 4,
    "vanishing-recurrent": 4,
    "dead-units": 2,
    "saturation": 2,
    "half-overflow": 2,
    "nonfinite-data": 2,
    "unsafe-op": 2,
}
"""How many cases there are of a cause at the least."""

EVERY = pytest.mark.parametrize("case", [*FAULTY, *SOUND], ids=lambda case: case.name)


def test_there_are_enough_of_each():
    assert len(FAULTY) >= 44
    assert len(SOUND) >= 44
    counts = Counter(cause for case in FAULTY for cause in case.causes)
    assert {cause: counts[cause] for cause, least in LEAST.items() if counts[cause] < least} == {}


def test_every_case_has_its_own_name():
    assert [name for name, count in Counter(case.name for case in (*FAULTY, *SOUND)).items() if count > 1] == []


def test_faults_have_known_causes_and_a_mended_twin():
    for case in FAULTY:
        assert case.causes
        assert case.causes <= KINDS.keys()
        assert case.kind in {KINDS[cause] for cause in case.causes}
        assert case.mended is not None
    assert all(not case.causes and case.kind == "sound" for case in SOUND)


def test_one_sound_model_is_large():
    heavy = [case for case in SOUND if case.heavy]
    assert len(heavy) == 1
    assert 9e6 < sum(parameter.numel() for parameter in heavy[0].make()[0].parameters()) < 12e6


def test_a_learning_rate_needs_an_optimizer():
    assert all(case.make()[3] is not None for case in FAULTY if "learning-rate" in case.causes)


def test_where_begins_a_path_in_the_model():
    for case in FAULTY:
        if case.where is not None:
            paths = [path for path, _ in case.make()[0].named_modules()]
            assert any(path.startswith(case.where) for path in paths), case.name


@EVERY
def test_a_case_is_the_same_every_time_and_gives_a_loss(case: Case):
    model, batch, loss_fn, optimizer = case.make()
    before = copy.deepcopy(model.state_dict())
    loss = loss_of(model, batch, loss_fn)
    again, batch_again, loss_fn_again, optimizer_again = case.make()

    torch.testing.assert_close(again.state_dict(), before, rtol=0, atol=0, equal_nan=True)
    for one, other in zip(pytree.tree_leaves(batch), pytree.tree_leaves(batch_again), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0, equal_nan=True)
    assert type(optimizer) is type(optimizer_again)
    assert isinstance(loss, Tensor)
    assert loss.numel() == 1
    torch.testing.assert_close(loss_of(again, batch_again, loss_fn_again), loss, rtol=0, atol=0, equal_nan=True)
    if not case.causes:
        loss.backward()
        gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
        assert math.isfinite(loss.item())
        assert math.isfinite(torch.nn.utils.get_total_norm(gradients).item())
