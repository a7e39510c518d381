"""`sg.try_remedies`: the same steps from one state, each time with one change."""

import copy
import math
import os
import random

import numpy as np
import pytest
import torch
from torch import nn

import steadygrad as sg
from steadygrad.findings import Finding
from steadygrad.interventions import Trials, in_loop
from steadygrad.trials import Candidate

from .runs import perceptron, rows


class Loop:
    """A training with a step for `try_remedies`, and batches."""

    def __init__(self, make=lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9), loss_of=None, clears=True, steps=40):
        torch.manual_seed(0)
        self.model = nn.Sequential(nn.Linear(4, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Dropout(0.05), nn.Linear(32, 1))
        self.optimizer = make(self.model.parameters())
        self.loss_of = loss_of or nn.functional.mse_loss
        self.clears = clears
        self.batches = [rows() for _ in range(steps)]
        self.made = 0

    def step(self, batch):
        x, y = batch
        loss = self.loss_of(self.model(x), y)
        if self.clears:
            self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.made += 1
        return loss

    def tried(self, *causes, **options):
        said = [finding(each) for each in causes]
        return sg.try_remedies(self.step, self.batches, self.model, self.optimizer, findings=said, **options)

    def state(self):
        return copy.deepcopy(
            (
                self.model.state_dict(),
                self.optimizer.state_dict(),
                torch.get_rng_state(),
                random.getstate(),
                np.random.get_state()[1].tolist(),
                self.model.training,
            )
        )


def finding(cause, confidence=0.8, **values):
    return Finding(cause, confidence, "", "", **values)


def same(left, right):
    if isinstance(left, torch.Tensor):
        return left.equal(right)
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, (list, tuple)):
        return len(left) == len(right) and all(map(same, left, right))
    return left == right


@pytest.mark.parametrize(
    "make",
    [
        lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9),
        lambda p: torch.optim.Adam(p, lr=1e-2),
        lambda p: torch.optim.AdamW(p, lr=1e-2, fused=True, amsgrad=True),
        lambda p: torch.optim.Adagrad(p, lr=0.1),
    ],
    ids=["momentum", "adam", "fused-amsgrad", "adagrad"],
)
def test_afterwards_everything_is_as_before(make):
    """Weights, moments, buffers, options and random numbers: the training goes on as if nobody had asked."""
    loop, other = Loop(make), Loop(make)
    for each in (loop, other):
        torch.manual_seed(1)
        for batch in each.batches[:5]:
            each.step(batch)
    before = loop.state()
    loop.tried(remedies=[each.id for each in sg_outside()])
    assert same(loop.state(), before)
    assert all(p.grad is None or not p.grad.any() for p in loop.model.parameters())
    torch.set_rng_state(before[2])
    ours = [float(loop.step(batch).detach()) for batch in loop.batches[5:15]]
    torch.set_rng_state(before[2])
    theirs = [float(other.step(batch).detach()) for batch in other.batches[5:15]]
    assert ours == theirs


def sg_outside():
    from steadygrad.remedies import REMEDIES

    return [each for each in REMEDIES if each.outside]


def test_schedulers_are_put_back_too():
    loop = Loop()
    scheduler = torch.optim.lr_scheduler.ExponentialLR(loop.optimizer, 0.9)

    def step(batch):
        loss = loop.step(batch)
        scheduler.step()
        return loss

    step(loop.batches[0])
    before = scheduler.state_dict()
    sg.try_remedies(step, loop.batches, loop.model, loop.optimizer, remedies=["warm-up"], stateful=[scheduler])
    assert scheduler.state_dict() == before
    assert loop.optimizer.param_groups[0]["lr"] == pytest.approx(0.045)


def test_controls_are_alike_and_are_the_bare_training():
    """Dropout and all."""
    loop, bare = Loop(), Loop()
    random_numbers = torch.get_rng_state()
    losses = [float(bare.step(batch).detach()) for batch in bare.batches]
    torch.set_rng_state(random_numbers)
    one, other = loop.tried(remedies=["warm-up"]).controls
    assert list(one.series.losses) == list(other.series.losses) == losses
    assert one.candidate is None


def test_a_trial_is_the_training_with_the_change():
    """To the last bit: nothing of one trial comes into the next."""
    slow = Loop(lambda p: torch.optim.SGD(p, lr=0.0125, momentum=0.9))
    random_numbers = torch.get_rng_state()
    wanted = [float(slow.step(batch).detach()) for batch in slow.batches]
    loop = Loop()
    torch.set_rng_state(random_numbers)
    lower = Candidate("lower-learning-rate", ("learning-rate",), "", {"factor": 0.25})
    shown = loop.tried(remedies=["lsuv", "lower-beta2", lower, "normalisation", lower])
    assert list(shown.trials[2].series.losses) == list(shown.trials[4].series.losses) == wanted


class TestProof:
    def test_the_learning_rate(self):
        loop = Loop(lambda p: torch.optim.SGD(p, lr=2.0, momentum=0.9))
        proof = loop.tried("learning-rate", "input-scale").proof
        assert proof.cause == "learning-rate"
        assert proof.deterministic is True
        assert proof.findings[0].proven is True
        assert proof.findings[0].confidence == 0.98

    def test_gradients_that_nobody_clears(self):
        """A lower rate relieves it too, and does not win."""
        loop = Loop(lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9), clears=False, steps=60)
        shown = loop.tried("learning-rate", "missing-zero-grad")
        assert shown.proof.cause == "missing-zero-grad"
        assert shown.proof.proving.candidate.remedy == "zero-grad-before-backward"

    def test_a_summed_loss(self):
        loop = Loop(
            lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9),
            lambda a, b: nn.functional.mse_loss(a, b, reduction="sum"),
        )
        proof = loop.tried("loss-scale", "init-gain").proof
        assert proof.cause == "loss-scale"
        assert proof.proving.candidate.remedy == "mean-reduction"

    def test_a_mean_is_no_summed_loss(self):
        """With a rate that is too high, averaging has nothing to average, and is no way to a lower rate."""
        loop = Loop(lambda p: torch.optim.SGD(p, lr=2.0, momentum=0.9))
        shown = loop.tried("loss-scale", "learning-rate")
        averaged = [each for each in shown.trials if each.candidate.remedy == "mean-reduction"]
        assert averaged
        assert all(each.did_nothing for each in averaged)
        assert shown.proof.cause == "learning-rate"

    def test_missing_values(self):
        loop = Loop()
        loop.batches[7][0][3, 1] = math.nan
        assert loop.tried("learning-rate", "nonfinite-data").proof.cause == "nonfinite-data"

    def test_nothing_is_wrong(self):
        shown = Loop(steps=60).tried("missing-zero-grad")
        assert shown.proof.cause is None
        assert "no change has mended this run" in str(shown)


def test_a_step_with_noise_of_its_own_is_less_sure():
    def run(noisy):
        loop = Loop(lambda p: torch.optim.SGD(p, lr=2.0, momentum=0.9))

        def step(batch):
            x, y = batch
            noise = int.from_bytes(os.urandom(4), "little") / 2**32 if noisy else 0.5
            return loop.step((x + 1e-3 * noise, y))

        said = [finding("learning-rate")]
        return sg.try_remedies(step, loop.batches, loop.model, loop.optimizer, findings=said).proof

    noisy, still = run(True), run(False)
    assert (noisy.deterministic, still.deterministic) == (False, True)
    assert noisy.cause == still.cause == "learning-rate"
    assert noisy.findings[0].confidence < still.findings[0].confidence


def test_a_step_that_raises_is_a_trial_with_an_error():
    loop = Loop()
    before = loop.state()

    def step(batch):
        if loop.made >= 3 * len(loop.batches):
            raise KeyError("labels")
        return loop.step(batch)

    shown = sg.try_remedies(step, loop.batches, loop.model, loop.optimizer, remedies=["warm-up", "lsuv"])
    assert [each.error for each in shown.controls] == ["", ""]
    assert [each.error for each in shown.trials] == ["", "KeyError: 'labels'"]
    assert shown.trials[1].series.known == []
    assert shown.trials[1] not in shown.proof.mended
    assert same(loop.state(), before)


def test_a_step_that_is_interrupted_leaves_everything_as_before():
    loop = Loop()
    before = loop.state()

    def step(batch):
        if loop.made >= 100:
            raise KeyboardInterrupt
        return loop.step(batch)

    with pytest.raises(KeyboardInterrupt):
        sg.try_remedies(step, loop.batches, loop.model, loop.optimizer, remedies=["warm-up", "lsuv"])
    assert same(loop.state(), before)
    assert loop.step(loop.batches[0]).isfinite()


def test_a_hopeless_trial_is_not_made_to_its_end():
    loop = Loop(lambda p: torch.optim.SGD(p, lr=1e9), steps=200)
    shown = loop.tried(remedies=["clip-global-norm"])
    assert len(shown.controls[0].series.losses) < 50


def test_a_watch_says_where_to_begin(tmp_path):
    """At its newest proven snapshot: from before the damage."""
    loop = Loop(lambda p: torch.optim.SGD(p, lr=0.01))
    observing = sg.watch(loop.model, loop.optimizer, record=tmp_path, mode="observe")
    with observing as watch, pytest.raises(ValueError, match="no proven snapshot"):
        sg.try_remedies(loop.step, loop.batches, loop.model, loop.optimizer, watch=watch, remedies=["warm-up"])
    with sg.watch(loop.model, loop.optimizer, record=tmp_path, snapshot_every=16) as watch:
        for _ in range(2):
            for batch in loop.batches:
                loop.step(batch)
        snapshot = watch.newest_snapshot(loop.optimizer)
        assert snapshot is not None
        assert snapshot.step > 0
        with torch.no_grad():
            for p in loop.model.parameters():
                p.mul_(1e3)
        damaged = loop.state()
        shown = sg.try_remedies(loop.step, loop.batches, loop.model, loop.optimizer, watch=watch, remedies=["warm-up"])
        assert shown.controls[0].series.start < 2
        assert same(loop.state(), damaged), "the trials begin there, the training stays where it is"


def test_our_own_watch_does_not_look_at_trials(tmp_path):
    loop = Loop(lambda p: torch.optim.SGD(p, lr=0.01))
    with sg.watch(loop.model, loop.optimizer, record=tmp_path) as watch:
        for batch in loop.batches[:5]:
            loop.step(batch)
        loop.tried(remedies=["warm-up"])
        for batch in loop.batches[5:8]:
            loop.step(batch)
    assert len(sg.open_run(watch.run).main.steps()) == 8


class TestArguments:
    def test_no_batches(self):
        loop = Loop(steps=0)
        with pytest.raises(ValueError, match="batches is empty"):
            loop.tried("learning-rate")

    @pytest.mark.parametrize("given", ["magic", Candidate("magic", ("learning-rate",))])
    def test_an_unknown_remedy(self, given):
        loop = Loop()
        with pytest.raises(ValueError, match="'magic' is no remedy"):
            loop.tried(remedies=[given])
        assert loop.made == 0

    @pytest.mark.parametrize("given", ["residual-connections", Candidate("residual-connections")])
    def test_a_remedy_that_cannot_be_applied_from_outside(self, given):
        loop = Loop()
        with pytest.raises(ValueError, match="residual-connections cannot be applied from outside"):
            loop.tried(remedies=[given])
        assert loop.made == 0

    def test_an_option_that_a_remedy_does_not_have(self):
        loop = Loop()
        before = loop.state()
        with pytest.raises(TypeError, match="has no option colour"):
            loop.tried(remedies=[Candidate("lsuv", options={"colour": 1})])
        assert same(loop.state(), before)

    def test_batches_may_be_a_generator_and_a_step_may_return_a_number(self):
        loop = Loop()
        shown = sg.try_remedies(
            lambda batch: float(loop.step(batch).detach()),
            (each for each in loop.batches),
            loop.model,
            loop.optimizer,
            remedies=["warm-up"],
        )
        assert len(shown.trials[0].series.losses) == len(loop.batches)

    def test_time_that_is_up(self):
        loop = Loop()
        shown = loop.tried("learning-rate", seconds=0.0)
        assert shown.trials == ()
        assert shown.proof.cause is None

    def test_each_trial_is_told(self):
        told = []
        loop = Loop(lambda p: torch.optim.SGD(p, lr=2.0, momentum=0.9))
        shown = loop.tried("learning-rate", on_trial=lambda trial, sound: told.append((trial, sound)))
        assert [trial for trial, _ in told] == list(shown.trials)
        assert [sound for _, sound in told] == [trial in shown.proof.mended for trial in shown.trials]


def test_without_findings_everything_is_tried():
    loop = Loop(steps=4)
    shown = sg.try_remedies(loop.step, loop.batches, loop.model, loop.optimizer)
    assert [each.candidate.remedy for each in shown.trials] == [each.id for each in sg_outside()]
    assert [each.number for each in shown.trials] == [*range(1, len(shown.trials) + 1)]
    assert not any(each.error for each in shown.trials)


def test_it_prints_as_a_table():
    loop = Loop(lambda p: torch.optim.SGD(p, lr=2.0, momentum=0.9))
    shown = loop.tried("learning-rate", "missing-zero-grad")
    assert isinstance(shown, Trials)
    lines = str(shown).splitlines()
    assert lines[0] == "proven: learning-rate"
    assert len(lines) == 2 + len(shown.controls) + len(shown.trials)
    assert any(line.startswith("lower-learning-rate (factor 0.01)") and line.endswith("yes") for line in lines)
    assert len(shown.controls[0].series.losses) >= in_loop.HOPELESS


def test_a_model_that_is_only_a_part_of_what_is_trained():
    """What the optimizer trains is put back, wherever it lives."""
    torch.manual_seed(0)
    model, extra = perceptron(), nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.Adam([*model.parameters(), extra], lr=1e-2)

    def step(batch):
        loss = (model(batch[0]) + extra - batch[1] - 5).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    sg.try_remedies(step, [rows() for _ in range(5)], model, optimizer, remedies=["warm-up"])
    assert extra.item() == 0.0
