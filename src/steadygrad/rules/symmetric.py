"""Weights whose units are the same, and stay so."""

from collections.abc import Iterator

from .._i18n import say
from ..evidence import Evidence
from ..findings import Finding, Measurement


def symmetric(evidence: Evidence) -> Iterator[Finding | Measurement]:
    """`symmetric-init` if units start alike and some steps do not tell them apart."""
    alike = [each for each in evidence.weights if each.alike]
    stuck = [each for each in alike if each.stays_alike]
    yield Measurement(
        say("layers whose units are alike"),
        alike[0].layer if alike else "weights",
        float(len(alike)),
        say("0 after some steps"),
        say("units with the same weights get the same gradient and stay one unit; zeros at the end of a branch do not"),
        bool(stuck),
    )
    if stuck and evidence.base.finite:
        first = stuck[0]
        yield Finding(
            "symmetric-init",
            0.95,
            first.layer,
            say(
                "the {units} units of {layer} start with the same weights ({rms:.3g}) and get the same gradient: "
                "they stay one unit",
                units=first.shape[0],
                layer=first.layer,
                rms=first.rms,
            ),
            {"layers": len(stuck), "units": first.shape[0], "weight_rms": first.rms},
            ("random-initialisation", "auto-initialisation"),
        )
