"""Which remedies are tried, and in which order."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steadygrad.findings import Finding
from steadygrad.remedies import REMEDIES, remedy
from steadygrad.trials import Candidate, candidates, everything, plan
from steadygrad.trials.plan import EACH, MOST, NEAR_LOGITS, RELIEFS

CAUSES = sorted({cause for each in REMEDIES for cause in each.removes})


def finding(cause, confidence=0.8, **values):
    return Finding(cause, confidence, values.pop("where", "net"), "", **values)


def names(planned):
    return [each.remedy for each in planned]


def test_nothing_found_is_nothing_planned():
    assert plan([]) == []


def test_everything_is_what_can_be_applied():
    assert names(everything()) == [each.id for each in REMEDIES if each.outside]


def test_the_first_remedy_of_each_comes_first():
    one = finding("half-overflow", remedies=("float32-for-this-layer",))
    other = finding("loss-scale", 0.5, remedies=("mean-reduction", "standardise-targets"))
    planned = names(plan([one, other]))
    assert planned[:2] == ["float32-for-this-layer", "mean-reduction"]
    assert planned.index("standardise-targets") > 1


def test_what_a_finding_names_comes_before_what_else_removes_its_cause():
    planned = names(plan([finding("init-gain", remedies=("fixup", "scale-down-the-head", "lsuv"))]))
    assert planned[:2] == ["scale-down-the-head", "lsuv"]
    assert "fixup" not in planned


def test_logits_that_were_far_apart_from_the_start_are_brought_near():
    for seen_in, options in (("first pass", {"threshold": NEAR_LOGITS}), ("onset", {})):
        (first, *_) = plan(
            [finding("attention-logits", evidence={"seen_in": seen_in}, remedies=("rescale-query-key-weights",))]
        )
        assert (first.remedy, first.options) == ("rescale-query-key-weights", options)


def test_what_only_relieves_is_tried_beside_the_others():
    planned = names(plan([finding("nonfinite-data")]))
    assert planned[0] == "drop-or-impute-nonfinite-samples"
    assert set(RELIEFS) <= set(planned)


def test_a_finding_that_is_hardly_believed_gets_one_trial():
    planned = names(plan([finding("half-overflow"), finding("init-gain", 0.1)]))
    removing = {each.id for each in REMEDIES if "init-gain" in each.removes}
    assert len(removing & set(planned)) == 1


def test_numbers_come_from_the_evidence():
    (first, second, *_) = plan([finding("learning-rate", evidence={"sharpness_ratio": 40.0})])
    assert (first.options["factor"], second.options["factor"]) == (0.01, 0.001)
    (first, *_) = plan(
        [finding("loss-scale", evidence={"passes": 8.0}, remedies=("divide-loss-by-accumulation-steps",))]
    )
    assert first.options == {"passes": 8}
    (first, *_) = plan([finding("corrupt-state", step=70, remedies=("reset-moments",))])
    assert first.options == {"step": 70}


@pytest.mark.parametrize("ratio", [None, math.nan, math.inf, "nan", 2.0, -1.0])
def test_without_a_sharpness_the_rate_is_a_tenth(ratio):
    evidence = {} if ratio is None else {"sharpness_ratio": ratio}
    factors = [
        each.options["factor"]
        for each in plan([finding("learning-rate", evidence=evidence)])
        if each.remedy == "lower-learning-rate"
    ]
    assert factors == [0.1, 0.01]


def test_only_a_finding_about_a_recurrence_says_that_a_state_is_carried_on():
    """And over how many steps: what else weights are scaled down for is no reason to look for one."""
    planned = candidates("rescale-initialisation", finding("recurrent-gain", evidence={"steps": 50}))
    assert [each.options for each in planned] == [{"steps": 50}]
    for cause in ("saturation", "init-gain", "attention-logits"):
        planned = candidates("rescale-initialisation", finding(cause, evidence={"steps": 50}))
        assert [each.options for each in planned] == [{}]


def test_the_place_is_that_of_the_finding_whose_cause_it_removes():
    planned = plan([finding("recurrent-gain", where="rnn.weight_hh_l0")])
    by_name = {each.remedy: each.where for each in planned}
    assert by_name["orthogonal-recurrent-init"] == "rnn.weight_hh_l0"
    assert by_name["clip-global-norm"] == ""


findings = st.lists(
    st.builds(
        finding,
        st.sampled_from([*CAUSES, "unheard-of"]),
        st.floats(0, 1),
        remedies=st.lists(st.sampled_from([*(each.id for each in REMEDIES), "of-a-later-version"]), max_size=4).map(
            tuple
        ),
        step=st.one_of(st.none(), st.integers(0, 1000)),
    ),
    max_size=5,
)


@settings(max_examples=100, deadline=None)
@given(found=findings, most=st.integers(1, 20))
def test_every_plan_can_be_carried_out(found, most):
    planned = plan(found, most)
    assert len(planned) <= most
    assert len(plan(found)) <= MOST
    assert all(remedy(each.remedy).outside for each in planned)
    assert all(each.removes == remedy(each.remedy).removes for each in planned)
    keys = [(each.remedy, tuple(sorted(each.options.items()))) for each in planned]
    assert len(keys) == len(set(keys)), "nothing is tried twice"
    if len(found) == 1:
        specific = [each for each in planned if found[0].cause in each.removes]
        assert len(specific) <= EACH + 2


def test_a_candidate_says_its_numbers():
    assert Candidate("warm-up").name == "warm-up"
    assert Candidate("reset-moments", options={"step": 3}).name == "reset-moments (step 3)"
    assert Candidate("reset-moments", options={"step": None}).name == "reset-moments"
