"""Initial weights against the rule for their fan-in and activation."""

import math
from collections.abc import Iterator

from .._i18n import say
from ..evidence import Evidence
from ..evidence.chain import rule_rms
from ..findings import Measurement

FACTOR = 6.0
"""A weight this many times above or below its rule. torch's defaults are below by 1.7 to 2.4."""


def weights(evidence: Evidence) -> Iterator[Measurement]:
    """Numbers only: what a wrong weight does shows in loss and gradient, or does not matter."""
    worst, most, rule = None, 0.0, 1.0
    for layer in evidence.chain:
        size = evidence.weight_rms.get(layer.name, 0.0)
        if size > 0:
            deviation = abs(math.log(size / rule_rms(layer)))
            if deviation > most:
                worst, most, rule = layer, deviation, rule_rms(layer)
    if worst is not None:
        yield Measurement(
            say("weight rms"),
            worst.name,
            evidence.weight_rms[worst.name],
            say("{rule:.3g} for its fan-in, times or over {factor:g}", rule=rule, factor=FACTOR),
            say("the rule of its activation keeps the size of the signal"),
            most > math.log(FACTOR),
        )
