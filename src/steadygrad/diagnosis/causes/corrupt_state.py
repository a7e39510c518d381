"""Optimizer moments or buffers damaged while data and gradients are sound.

A checkpoint that was cut, a moment that became NaN in one step, running statistics of zero variance, or none because a
checkpoint had no buffers: the batch and its gradient are fine, and the step is not. Or weights that are overwritten
between two steps, again and again, as by averaged ones that an evaluation swaps in and never out.

Seen in: moments that are not finite, negative squares, squares that are too small for the means beside them, moments
far above any gradient there was, buffers that are not finite, norms in evaluation mode whose statistics nobody has
collected, weights that were put back to where they had been, each time at the loss of then.

Remedies: reset-moments, reset-running-stats, reload-checkpoint.

Reference: torch documentation, `torch.optim.Optimizer.load_state_dict`.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ..._i18n import say
from ...findings import Finding
from ...records import Alarm
from ..case import Case

CAUSE = "corrupt-state"

FAR = 20.0
"""How many times all gradients before it together a first moment is from which they have not made it."""

OVERFLOWS = 1e15
"""Gradients whose squares leave float32: then it is they that have broken the moments."""

UNMATCHED = 0.01
"""Share of second moments that do not belong to the first ones, from which somebody has changed them."""

SQUARES = ("exp_avg_sq", "square_avg", "sum", "max_exp_avg_sq")

LOUD = 30.0
"""How much larger than usual a gradient may be and still be sound."""

WORSE = 4.0
"""How many times its size a loss has grown by the change of buffers alone, where they are damaged."""

LOST = ("skip", "hold", "undo", "scaler-skip")
"""Actions instead of a step: no moment has seen its gradient."""

BUFFERS = ("nonfinite-buffer", "broken-buffer")


def corrupt_state(case: Case) -> Iterator[Finding]:
    """By the state at the first alarm."""
    undone = next((alarm for alarm in case.alarms if alarm.detector == "undone-steps"), None)
    if undone is not None and undone.step == case.onset:
        yield _undone(undone)
        return
    remedies = ("reset-moments", "reload-checkpoint")
    broken = next((alarm for alarm in case.alarms if alarm.detector == "nonfinite-parameter"), None)
    at_once = broken is not None and broken.step == case.onset
    sound = case.first is None or case.first.evidence.base.finite or (at_once and _has_sound_gradient(case, case.onset))
    seen = case.symptoms[0] if case.symptoms else {}
    largest = _largest_gradient(case)
    plain = not any(name in SQUARES for name in seen.get("moments", {}))  # else a momentum of what was divided by them
    for name, each in seen.get("moments", {}).items():
        norm, least, bad = float(each["norm"]), float(each["smallest"]), float(each["nonfinite"])
        words = ""
        if name in SQUARES and least < 0:
            words = say("{name} is a mean of squares and holds {least:.3g}", name=name, least=least)
        elif sound and (bad or math.isnan(norm)) and largest < OVERFLOWS:
            words = say(
                "{name} holds {bad:.0f} numbers that are not finite, while the batch and its gradient are sound",
                name=name,
                bad=bad,
            )
        elif _is_first(name, plain) and 0 < largest < OVERFLOWS and norm > FAR * _longest(seen, name) * largest:
            words = say(
                "{name} has norm {norm:.3g}, and no gradient before it was larger than {largest:.3g}",
                name=name,
                norm=norm,
                largest=largest,
            )
        if words:
            yield Finding(CAUSE, 0.93, name, words, dict(each), remedies, case.onset)
            return
    unmatched = seen.get("unmatched_moments") or 0.0
    if unmatched > UNMATCHED:
        words = say(
            "{share:.0%} of exp_avg_sq are smaller than any gradients make them beside the exp_avg that lies there",
            share=unmatched,
        )
        yield Finding(CAUSE, 0.95, "exp_avg_sq", words, {"unmatched": unmatched}, remedies, case.onset)
        return
    for name, least in seen.get("variances", {}).items():
        if least < 0:
            words = say("{name}, a running variance that is used, holds {least:.3g}", name=name, least=least)
        else:
            words = say(
                "{name}, a running variance that is used, is {least:.3g} everywhere: what it divides is out of scale",
                name=name,
                least=least,
            )
        yield Finding(
            CAUSE,
            0.93,
            name,
            words,
            {"smallest_variance": least},
            ("reset-running-stats", "reload-checkpoint"),
            case.onset,
        )
        return
    fresh = seen.get("uncollected", ())
    if fresh and not case.stalled:
        words = say(
            "{name} is in evaluation mode with running statistics that were never collected: a mean of 0 and a "
            "variance of 1",
            name=fresh[0],
        )
        remedies = ("reload-checkpoint", "reset-running-stats")
        yield Finding(CAUSE, 0.9, fresh[0], words, {"norms": list(fresh)}, remedies, case.onset)
        return
    yield from _by_old_buffers(case)
    if broken is not None and at_once and _is_sound_until(case, broken.step):
        tensors = ", ".join(broken.detail.get("tensors", ())) or "weights"
        words = say("weights are not finite after step {step}, whose loss and gradient were sound", step=broken.step)
        yield Finding(CAUSE, 0.85, tensors, words, dict(broken.detail), remedies, broken.step)
        return
    hit = next((alarm for alarm in case.alarms if alarm.detector in BUFFERS), None)
    if hit is not None and hit.step <= case.onset + 1 and sound:
        where = ", ".join(hit.detail.get("buffers", ())) or "buffers"
        yield Finding(
            CAUSE,
            0.8,
            where,
            say("{where} are damaged while gradients are sound", where=where),
            dict(hit.detail),
            remedies,
            hit.step,
        )


def _undone(alarm: Alarm) -> Finding:
    """What steps gain is lost by somebody who writes weights."""
    loss, back, steps = (alarm.detail[name] for name in ("loss", "loss_put_back", "steps"))
    words = say(
        "some {steps} steps bring the loss from {back:.3g} to {loss:.3g}, then the weights are put back to where they "
        "were before them, again and again: copies that were swapped in, as of averaged weights, are not swapped out",
        steps=steps,
        back=back,
        loss=loss,
    )
    return Finding(CAUSE, 0.9, "weights", words, dict(alarm.detail), (), alarm.step)


def _by_old_buffers(case: Case) -> Iterator[Finding]:
    """The same batch and weights are sound with the running statistics of a while ago."""
    for look in case.looks:
        if look.old_buffers is None or not math.isfinite(look.old_buffers[0]):
            continue
        now, then = look.evidence.base.loss, look.old_buffers[0]
        if not now <= then + WORSE * max(abs(then), 1e-12):
            yield Finding(
                CAUSE,
                0.93,
                "buffers",
                say(
                    "with the running statistics of a while ago the same batch has a loss of {then:.3g}, now {now:.3g}",
                    then=then,
                    now=now,
                ),
                {"loss": now, "loss_with_old_buffers": then},
                ("reset-running-stats", "reload-checkpoint"),
                case.onset,
            )
            return


def _has_sound_gradient(case: Case, step: int) -> bool:
    """Whether the gradient of a step was finite: what is not finite behind it is the step's own doing."""
    norms = case.steps.grad_norm[case.steps.step == step]
    return bool(len(norms)) and bool(np.isfinite(norms).all())


def _is_sound_until(case: Case, step: int) -> bool:
    """Whether loss and gradient were as usual up to a step, and its rate was finite."""
    steps = case.steps
    at = steps.step == step
    norms, usual = steps.grad_norm[at], case.before("grad_norm")
    if not at.any() or not np.isfinite(norms).all() or not len(usual):
        return False
    rates = steps.lr[at]
    known = steps.loss[at & steps.loss_known]
    calm = float(norms.max()) < LOUD * float(np.median(usual))
    return calm and bool(np.isfinite(known).all()) and not np.isinf(rates).any()


def _is_first(name: str, plain: bool) -> bool:
    """Whether a kind of state is made of gradients as they were."""
    return name == "exp_avg" or (name == "momentum_buffer" and plain)


def _largest_gradient(case: Case) -> float:
    """The largest gradient that the moments at the first alarm can have seen."""
    seen = case.before("grad_norm")
    first = case.start.base.grad_norm if case.start is not None else 0.0
    # An alarm may come late, and where nobody acts the step that it is about has been made by then.
    steps, until = case.steps, int(case.symptoms[0].get("step", case.onset)) if case.symptoms else case.onset
    taken = (steps.step >= case.onset) & (steps.step < until) & ~np.isin(steps.action.astype(str), LOST)
    since = steps.clipped_norm[taken & np.isfinite(steps.clipped_norm)]
    return max(float(seen.max(initial=0.0)), float(since.max(initial=0.0)), first if math.isfinite(first) else 0.0)


def _longest(seen: Mapping[str, Any], name: str) -> float:
    """What a moment may be, in gradients of the largest size: torch's momentum sums, a mean does not."""
    if name != "momentum_buffer":
        return 1.0
    momentum = max((float(group.get("momentum") or 0.0) for group in seen.get("groups", ())), default=0.0)
    return 1.0 / max(1e-3, 1.0 - momentum)
