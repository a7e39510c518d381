"""Adam's v lags the gradient: update RMS far above lr.

Adam divides by the root of a running mean of squared gradients. With beta2 near 1 that mean is old: when gradients grow
it is far below what they are now, and steps become many times lr.

Seen in: the root of the mean of g^2 / v, over several steps and before the loss has risen; an epsilon of 0 beside a
second moment that is 0 too, as that of a row that no batch has had: the update is 0 / 0.

Remedies: lower-beta2, stable-adamw, warm-up, clip-global-norm, raise-epsilon.

Reference: Wortsman et al., "Stable and low-precision training for large-scale vision-language models", 2023.
"""

import math
from collections.abc import Iterator

import numpy as np

from ..._i18n import say
from ...findings import Finding
from ...records import Alarm
from ..case import Case, is_square, nats, usual

CAUSE = "stale-second-moment"

LAGS = 3.0
"""Ratio from which updates are out of proportion; in sound training it is about 1."""

LONG = 12.0
"""Root mean square of an update against lr that no gradient makes of moments that keep up with it: Adam's largest is
the root of 10 after an outlier, RMSprop's 10 at its first step."""

ALONG = 0.5
"""Part of an update by which the weights grow longer, from which it is made of the weights and not of gradients."""

STEPS = 10
"""Steps after the onset in which updates still say what they were at it: every one of them is sampled."""


def stale_second_moment(case: Case) -> Iterator[Finding]:
    """By the length of the updates, where something divides by squares; by the second moment at the first alarm."""
    if not case.symptoms:
        return
    yield from _without_epsilon(case)
    ratio = float(case.symptoms[0].get("second_moment_ratio", {}).get("largest", 0.0) or 0.0)
    divides = [name for name, each in case.symptoms[0].get("moments", {}).items() if is_square(name, each)]
    long = _longest_update(case) if divides else 0.0
    norms = case.before("grad_norm")
    level, last = usual(norms[:-6]), usual(norms[-3:])
    rising = nats(last / level) if level and last else 0.0
    if long > LONG:
        yield Finding(
            CAUSE,
            min(0.93, 0.75 + 0.05 * nats(long / LONG)),
            divides[0],
            say(
                "updates have a root mean square of {long:.3g} times the learning rate: {moment} does not know how "
                "large gradients are",
                long=long,
                moment=divides[0],
            ),
            {"update_rms_over_lr": long, "second_moment_ratio": ratio},
            ("lower-beta2", "stable-adamw", "warm-up"),
            case.onset,
        )
    elif ratio > LAGS and len(norms) >= 16:
        yield Finding(
            CAUSE,
            min(0.9, 0.65 + 0.04 * nats(ratio) if case.rescaled else 0.45 + 0.15 * max(0.0, rising)),
            divides[0] if divides else f"optimizer {case.optimizer}",
            say(
                "the gradient is {ratio:.3g} times what Adam's second moment expects: steps are that many times the "
                "rate",
                ratio=ratio,
            ),
            {"second_moment_ratio": ratio, "rise_of_the_gradient": rising},
            ("lower-beta2", "stable-adamw", "clip-global-norm"),
            case.onset,
        )


def _without_epsilon(case: Case) -> Iterator[Finding]:
    seen = case.symptoms[0]
    empty = [
        name for name, each in seen.get("moments", {}).items() if is_square(name, each) and each["smallest"] == 0.0
    ]
    none = any(group.get("eps") == 0.0 for group in seen.get("groups") or ())
    if none and empty and "nonfinite-parameter" in case.detectors:
        yield Finding(
            CAUSE,
            0.95,
            empty[0],
            say("eps is 0, and so is {moment} where no gradient has come by: the update is 0 / 0", moment=empty[0]),
            {"eps": 0.0},
            ("raise-epsilon",),
            case.onset,
        )


def _longest_update(case: Case) -> float:
    """The largest root mean square of a matrix' update over the learning rate, around the onset."""
    until = case.onset + STEPS
    steps, ratios = case.recording.vectors("update_ratio", case.optimizer, last=until)
    before, norms = case.recording.vectors("param_norm", case.optimizer, last=until)
    rates = dict(zip(case.steps.step.tolist(), case.steps.lr.tolist(), strict=True))
    sizes = dict(zip(before.tolist(), norms, strict=True))
    tensors = next(each for each in case.recording.optimizers() if each.index == case.optimizer).tensors
    roots = np.sqrt([max(1, math.prod(each.shape)) for each in tensors])
    matrices = np.array([len(each.shape) > 1 for each in tensors])
    growth = _growth(before, norms)
    longest = 0.0
    for step, ratio in zip(steps.tolist(), ratios, strict=True):
        rate, size = rates.get(step), sizes.get(step)
        if not rate or not math.isfinite(rate) or size is None or len(size) != len(roots) or len(ratio) != len(roots):
            continue
        known = matrices & (ratio >= 0) & (size > 0) & np.isfinite(ratio) & np.isfinite(size)
        known &= ~(growth.get(step, 0.0) > ALONG * ratio)
        if known.any():
            longest = max(longest, float((ratio[known] * size[known] / roots[known]).max()) / rate)
    rate = rates.get(case.onset)
    if not rate or not math.isfinite(rate) or not len(norms) or len(norms[-1]) != len(roots):
        return longest
    # The step of the alarm is seldom sampled. How far it went is known, and not of which tensor: at least so far.
    known = matrices & (norms[-1] > 0) & np.isfinite(norms[-1])
    least = float((norms[-1][known] / roots[known]).min()) if known.any() else 0.0
    moved = max((_moved(alarm) for alarm in case.alarms if alarm.step == case.onset), default=0.0)
    return max(longest, moved * least / rate)


def _growth(steps: np.ndarray, norms: np.ndarray) -> dict[int, np.ndarray]:
    """By what part of itself each tensor grows in a step: between the sample of a step and the next one."""
    if len(steps) < 2:
        return {}
    with np.errstate(divide="ignore", invalid="ignore"):
        rates = np.diff(np.log(norms), axis=0) / np.diff(steps)[:, None]
    return dict(zip(steps.tolist(), [*rates, rates[-1]], strict=True))


def _moved(alarm: Alarm) -> float:
    """By how much of their size a step has moved weights, if an alarm says so."""
    moved = alarm.detail.get("update_ratio")
    return float(moved) if isinstance(moved, (int, float)) and math.isfinite(moved) else 0.0
