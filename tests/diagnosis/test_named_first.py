"""Everyday scripts by somebody who knew nothing of this program: what is named first."""

from pathlib import Path

import pytest

BLIND = Path(__file__).parent


@pytest.mark.slow
@pytest.mark.parametrize(
    ("holdout", "script", "because"),
    [
        # The second of the script's own updates is NaN: no pass has been seen whole by then.
        ("tenth", "init-gain/autoencoder_randn", "the gradient grows"),
        # The checkpoint had parameters, and no buffers.
        ("tenth", "corrupt-state/plant_finetune", "statistics that were never collected"),
        # Float16 squares that are divided by; the gradients that are clipped are zeros, and divided already.
        ("tenth", "half-overflow/rmsnorm_fp16", "pow overflows"),
        # Gates that raw columns have pinned to the last bit.
        ("tenth", "input-scale/weather_gru_raw", "gets a gradient, and none now"),
        # `weight.grad.zero_()` in the script's own loop.
        ("tenth", "learning-rate/matrix_factorization", "steps on one batch take its loss"),
        # A state that runs away pins the tanh behind it.
        ("tenth", "recurrent-gain/reservoir_routing", "a perturbation of the state grows"),
        # As sure as that the first steps of RMSprop were long, and there before them.
        ("tenth", "vanishing-recurrent/energy_peak_memory", "nothing is learned across time"),
        # An overflow at the first step, of what one weight multiplies at every time step.
        ("eleventh", "recurrent-gain/ssm_pump", "again and again"),
        # Second moments that a checkpoint in half precision has lost.
        ("eleventh", "corrupt-state/spot_autoencoder", "smaller than any gradients make them"),
        # An LSTM of which nothing arrives where the label is set.
        ("eleventh", "vanishing-recurrent/flag_lstm", "of the gradient arrives there"),
        # Targets of a network that follows: weights of before do no better on them.
        ("eleventh", "weight-growth/dqn_windy_grid", "little by little"),
        # A decay with the wrong sign in the script's own lines: seen four times before the onset.
        ("fourteenth", "weight-growth/decay_by_hand_regression", "little by little"),
        # Counts in the thousands, under a likelihood of counts, that the loss had reached.
        ("fourteenth", "half-overflow/poisson_counts_gru", "exp overflows in float16"),
        # A checkpoint whose moments of the padding were divided by zero.
        ("thirteenth", "corrupt-state/resume_small_checkpoint", "while the batch and its gradient are sound"),
        # A warm-up that never ends, and what the rate has made of attention by then.
        ("fifteenth", "learning-rate/noam_missing_minimum_translator", "bears at a rate of"),
        # Another that begins at 0, as those of trainers do, and leads to 1.
        ("fifteenth", "learning-rate/llama_tiny_hf_trainer", "the first one was 0"),
        # Early layers that a missing warm-up has cut off.
        ("sixteenth", "learning-rate/postln_charlm", "cut them off"),
        # Misprints in targets, each in a batch of its own that is looked at for it.
        ("seventeenth", "outlier-batch/tick_returns_gru", "that of the batch before it"),
        # A first batch with as many of one class as of the other: all others stood out against it.
        ("seventeenth", "vanishing-depth/spiral_classifier", "arrives at the first layers"),
        # A record that a hundred windows hold: the batch before has been harmed by those before it.
        ("twenty_second", "outlier-batch/turbine_tcn", "that of the batch before it"),
        # Targets in the thousands, that the run had borne until an exponential in float16 had one too many.
        ("twenty_second", "half-overflow/pageviews_poisson", "exp overflows in float16"),
        # Logarithms of shares, that are subtracted from those of the model and weighed by shares: no targets.
        ("twenty_second", "saturation/hash_docs", "are pinned at an end"),
        # A recurrence that is compiled by script, so that no pass can be looked into.
        ("fifteenth", "recurrent-gain/relu_rnn_bracket_depth", "times that of the one before it"),
    ],
    ids=lambda value: value if "/" in value else "",
)
def test_the_cause_is_named_first(holdout, script, because, runner):
    runner.write((BLIND / f"{holdout}_holdout/failing/{script}.py").read_text())
    first, *_ = runner.watched("train.py").summary["findings"]
    assert first["cause"] == script.partition("/")[0]
    assert because in first["summary"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "script",
    [
        # Its loss has lost a third since its third optimizer was made, and rests: it had lost most of it before.
        "tenth_holdout/healthy/finetune_domain_shift",
        # Near the peak of its schedule the loss comes up, at 1.3 times the rate at which it last improved.
        "fourteenth_holdout/healthy/one_cycle_high_peak_digits",
        # A surrogate of returns, whose first losses swing further than it then lies above the very first.
        "sixteenth_holdout/healthy/reinforce_chain",
        # Pairs of words, that a loss is the same of where both are of one other sample; a table that begins at zero.
        "sixteenth_holdout/healthy/sparse_skipgram",
    ],
)
def test_a_sound_run_is_called_sound(script, runner):
    runner.write((BLIND / f"{script}.py").read_text())
    assert runner.watched("train.py").summary["verdict"] == "healthy"
