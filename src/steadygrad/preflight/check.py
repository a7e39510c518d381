"""`sg.check`: everything that can be known about a training before its first step."""

import math
from collections.abc import Callable
from time import perf_counter
from typing import Any

import torch  # noqa: F401  (the example)
from torch import nn
from torch.optim import Optimizer

from ..evidence import Evidence
from ..evidence.chain import profiles
from ..findings import OUT_OF_SCALE, CheckResult, Finding, Measurement
from ..measure.objective import Objective
from ..rules import RULES
from .gather import gather


def check(
    model: nn.Module,
    batch: Any,
    loss_fn: Callable[..., Any] | None = None,
    optimizer: Optimizer | None = None,
    *,
    progress: Callable[[str], None] | None = None,
) -> CheckResult:
    r"""Measure a model before step 0 and say what is wrong with it.

    One forward and backward pass is looked at, at every multiplication by a weight; where a number is unusual the pass
    is made again with that one thing changed, and only what has an effect is a finding. Model, optimizer, gradients,
    buffers and random numbers are as before when it returns.

    Args:
        model: any module, on any device, in the mode in which it will train.
        batch: one batch as it will be trained on: a tuple whose last item is the target (`(x, y)`, `(x1, x2, y)`), or a
            dict of the model's keywords, or whatever `loss_fn(model, batch)` takes.
        loss_fn: `loss_fn(output, target)`; or `loss_fn(model, batch)`, if its first parameter is called `model`; None
            if the model returns its loss (an output with `loss`).
        optimizer: the one that will train it: then the learning rate is judged too, by sharpness and by a few real
            steps, which are undone.
        progress: is told what is measured now.

    Returns:
        The findings, best first, every measurement with its limit and reason, and each layer's gains. It is true in a
        condition if nothing was found, and prints as text.

    Raises:
        ValueError: model, batch and loss do not fit together.

    Example:
        >>> model = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 3))
        >>> x, y = torch.randn(16, 8), torch.randint(3, (16,))
        >>> check(model, (x, y), nn.CrossEntropyLoss()).verdict
        'sound'
        >>> check(model, (1e5 * x, y), nn.CrossEntropyLoss()).findings[0].cause
        'input-scale'
    """
    began = perf_counter()
    objective = Objective(model, batch, loss_fn)
    evidence = gather(objective, optimizer, progress or (lambda line: None))
    return judged(evidence, type(model).__name__, model, perf_counter() - began)


def judged(evidence: Evidence, target: str, model: nn.Module, seconds: float) -> CheckResult:
    """Put the rules to the evidence."""
    said = [each for rule in RULES for each in rule(evidence)]
    findings = [each for each in said if isinstance(each, Finding)]
    return CheckResult(
        target=target,
        parameters=sum(param.numel() for param in model.parameters()),
        findings=tuple(sorted(_explained(findings), key=lambda finding: -finding.confidence)),
        measurements=tuple(each for each in said if isinstance(each, Measurement)),
        layers=profiles(evidence.base, evidence.chain, evidence.weight_rms),
        time_gradients={name: tuple(curve) for name, curve in evidence.time_gradients.items()},
        skipped=dict(evidence.skipped),
        seconds=seconds if math.isfinite(seconds) else 0.0,
    )


def _explained(findings: list[Finding]) -> list[Finding]:
    """What another finding explains is left out: no rate is small enough for a model that explodes by itself."""
    causes = {finding.cause for finding in findings}
    kept, seen = [], set()
    for finding in findings:
        explained = finding.cause == "learning-rate" and causes & OUT_OF_SCALE
        if not explained and (finding.cause, finding.where) not in seen:
            seen.add((finding.cause, finding.where))
            kept.append(finding)
    return kept
