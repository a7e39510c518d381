"""From trials to a proof."""

import json
import math

import pytest

from steadygrad._strict_json import strict
from steadygrad.findings import Finding
from steadygrad.remedies import remedy
from steadygrad.trials import Candidate, Series, Trial, mends, prove

GOOD = tuple(2.0 * 0.9**step + 0.1 for step in range(50))
BETTER = tuple(2.0 * 0.85**step + 0.02 for step in range(50))
LOST = (2.0, 3.0, 50.0, *(math.nan,) * 3)
FLAT = (2.0,) * 50


def trial(name, losses, times=1, number=1, **values):
    return Trial(Candidate(name, remedy(name).removes), Series(losses), times, number=number, **values)


def control(losses=LOST):
    return Trial(None, Series(losses))


def found(cause, confidence=0.6, **values):
    return Finding(cause, confidence, "net", "", **values)


TWO = (control(), control())


class TestMends:
    def test_sound_where_the_control_is_not(self):
        assert mends(trial("mean-reduction", GOOD), TWO)
        assert mends(trial("mean-reduction", GOOD), (control(FLAT), control(FLAT)))

    @pytest.mark.parametrize("losses", [LOST, FLAT, (), (2.0,), (1.0, 2.0, 3.0, 5.0, 9.0)])
    def test_what_is_not_sound_mends_nothing(self, losses):
        assert not mends(trial("mean-reduction", losses), TWO)

    def test_what_has_changed_nothing_mends_nothing(self):
        assert not mends(trial("mean-reduction", GOOD, times=0), TWO)

    def test_what_has_raised_mends_nothing(self):
        assert not mends(trial("mean-reduction", GOOD, error="KeyError: 'x'"), TWO)

    def test_a_run_like_a_sound_control_mends_nothing(self):
        assert not mends(trial("mean-reduction", GOOD), (control(GOOD), control(GOOD)))

    def test_a_clearly_better_end_does(self):
        assert mends(trial("mean-reduction", BETTER), (control((*GOOD[:20], *(0.5,) * 30)),) * 2)

    def test_a_control_that_was_thrown_and_came_back(self):
        thrown = (*GOOD[:20], 1e5, *GOOD[20:])
        assert mends(trial("drop-outlier-samples", GOOD), (control(thrown),) * 2)
        assert not mends(trial("warm-up", thrown), (control(thrown),) * 2)

    def test_the_worse_of_two_controls_counts(self):
        assert mends(trial("mean-reduction", GOOD), (control(GOOD), control(LOST)))

    def test_without_a_control_what_is_sound_is_sound(self):
        assert mends(trial("mean-reduction", GOOD), ())


class TestProve:
    def test_a_specific_cause_wins_against_a_lower_rate(self):
        """A lower rate relieves nearly everything that explodes."""
        said = [found("learning-rate", 0.6), found("missing-zero-grad", 0.5)]
        proof = prove(said, TWO, [trial("lower-learning-rate", BETTER), trial("zero-grad-before-backward", GOOD)])
        assert proof.cause == "missing-zero-grad"
        assert proof.proving.candidate.remedy == "zero-grad-before-backward"
        assert proof.winner.candidate.remedy == "lower-learning-rate", "the best end, whatever it proves"
        first, second = proof.findings
        assert (first.cause, first.proven, first.confidence) == ("missing-zero-grad", True, 0.98)
        assert (second.cause, second.proven) == ("learning-rate", None)
        assert second.confidence < 0.6

    def test_a_lower_rate_alone_proves_the_rate_if_something_speaks_for_it(self):
        assert prove([found("learning-rate")], TWO, [trial("lower-learning-rate", GOOD)]).cause == "learning-rate"

    def test_a_lower_rate_alone_proves_nothing_if_nothing_speaks_for_it(self):
        proof = prove([found("init-gain")], TWO, [trial("lower-learning-rate", GOOD), trial("lsuv", LOST)])
        assert proof.cause is None
        assert proof.winner.candidate.remedy == "lower-learning-rate"
        assert proof.findings[0].proven is False

    def test_a_clip_proves_nothing(self):
        proof = prove([found("learning-rate")], TWO, [trial("clip-global-norm", GOOD)])
        assert proof.cause is None
        assert proof.findings == (found("learning-rate"),)

    def test_nothing_mends(self):
        said = [found("learning-rate"), found("unsafe-op", 0.3)]
        proof = prove(said, TWO, [trial("lower-learning-rate", LOST), trial("clip-global-norm", LOST)])
        assert proof.cause is None
        assert proof.winner is None
        assert proof.proving is None
        assert proof.mended == ()
        assert [(each.cause, each.proven) for each in proof.findings] == [("learning-rate", False), ("unsafe-op", None)]
        assert proof.findings[0].confidence == pytest.approx(0.36)

    def test_what_did_nothing_proves_nothing(self):
        """And refutes nothing: there was nothing to change, so nothing was tried."""
        said = [found("missing-zero-grad"), found("learning-rate", 0.5)]
        proof = prove(
            said, TWO, [trial("zero-grad-before-backward", LOST, times=0), trial("lower-learning-rate", LOST)]
        )
        assert proof.cause is None
        assert [(each.cause, each.proven, each.confidence) for each in proof.findings] == [
            ("missing-zero-grad", None, 0.6),
            ("learning-rate", False, 0.3),
        ]
        assert prove(said, TWO, [trial("zero-grad-before-backward", GOOD, times=0)]).findings == tuple(said)

    def test_a_script_that_is_not_the_same_from_run_to_run_is_less_sure(self):
        other = tuple(loss * 1.01 for loss in LOST)
        tried = [trial("zero-grad-before-backward", GOOD)]
        sure = prove([found("missing-zero-grad")], TWO, tried)
        unsure = prove([found("missing-zero-grad")], (control(), control(other)), tried)
        assert (sure.deterministic, unsure.deterministic) == (True, False)
        assert sure.findings[0].confidence == 0.98
        assert unsure.findings[0].confidence == 0.8
        assert prove([], (control(),), tried).deterministic is None

    def test_a_cause_that_nobody_named(self):
        proof = prove([found("init-gain", 0.4)], TWO, [trial("mean-reduction", GOOD), trial("lsuv", LOST)])
        assert proof.cause == "loss-scale"
        first, second = proof.findings
        assert (first.cause, first.proven, first.confidence) == ("loss-scale", True, 0.7)
        assert first.remedies == ("mean-reduction",)
        assert (second.cause, second.proven) == ("init-gain", False)
        assert second.confidence == pytest.approx(0.4 * 0.3)

    def test_nothing_named_and_not_the_same_from_run_to_run(self):
        proof = prove([], (control(), control(FLAT)), [trial("mean-reduction", GOOD)])
        assert proof.findings[0].confidence == 0.5

    def test_no_trials_leave_the_findings_as_they_are(self):
        said = (found("learning-rate"), found("init-gain", 0.9))
        proof = prove(said, TWO, [])
        assert proof.findings == (said[1], said[0]), "the surest first"
        assert proof.cause is None

    def test_ends_in_other_units_are_compared_by_what_was_gained(self):
        tiny = tuple(loss / 1e6 for loss in (2.0, *(1.5,) * 49))
        tried = [trial("mean-reduction", GOOD), trial("standardise-targets", tiny)]
        assert prove([found("loss-scale")], TWO, tried).winner.candidate.remedy == "mean-reduction"


def test_a_trial_as_plain_data():
    plain = trial("lower-learning-rate", LOST, error="ValueError: x").to_dict()
    assert json.loads(json.dumps(strict(plain), allow_nan=False))["last"] in ("nan", "inf")
    assert plain["remedy"] == "lower-learning-rate"
    assert plain["steps"] == len(LOST)
    assert math.isnan(Trial(None, Series(())).to_dict()["last"])


def test_a_trial_judged_by_one_of_several_optimizers():
    whole = Trial(None, Series(GOOD), several=(Series(GOOD), Series(LOST)))
    assert whole.of(1).series == Series(LOST)
    assert whole.of(7).series.known == []
    assert control().of(3).series == Series(LOST)
    assert whole.shortened(3).series.losses == GOOD[:3]
