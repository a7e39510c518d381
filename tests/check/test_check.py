"""The check over the whole casebook: every planted fault is found, nothing is found in what is sound."""

import pytest

import steadygrad as sg
from steadygrad import init
from tests.check.case import Case
from tests.check.cases import FAULTY, SOUND

BY_DEPTH = {
    "mlp-60-batch-norms": "batch norm itself makes the gradient of a plain chain grow by 1.2 a layer, whatever is drawn",
}
"""Where each layer is as it should be after `auto_`, and there are too many of them."""


def named(cases):
    return pytest.mark.parametrize("case", cases, ids=lambda case: case.name)


@pytest.mark.one_in(3)
@named(FAULTY)
def test_a_planted_fault_is_found(case: Case):
    found = sg.check(*case.make()).findings
    causes = [finding.cause for finding in found]
    assert case.causes & set(causes), causes
    if case.where is not None:
        assert any(finding.where.startswith(case.where) for finding in found if finding.cause in case.causes)


@named([case for case in SOUND if not case.heavy])
def test_nothing_is_found_in_what_is_sound(case: Case):
    assert sg.check(*case.make()).findings == ()


@pytest.mark.slow
@named([case for case in FAULTY if case.mended is not None])
def test_nothing_is_found_once_the_fault_is_mended(case: Case):
    assert case.mended is not None
    assert sg.check(*case.mended()).findings == ()


@pytest.mark.slow
@named([case for case in SOUND if case.heavy])
def test_nothing_is_found_in_a_large_model(case: Case):
    assert sg.check(*case.make()).findings == ()


@named([case for case in FAULTY if case.kind == "initialisation"])
def test_after_auto_every_gain_is_near_1(case: Case):
    model, batch, loss_fn, _ = case.make()
    init.auto_(model, batch)
    result = sg.check(model, batch, loss_fn)
    gains = {each.quantity: each.value for each in result.measurements if each.quantity.endswith("gain per layer")}
    assert all(0.8 <= gain <= 1.25 for gain in gains.values()), gains
    assert bool(case.causes & {finding.cause for finding in result.findings}) == (case.name in BY_DEPTH)
