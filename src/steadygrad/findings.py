"""What a judgement is made of: measurements, findings, and the result of a check before step 0. No torch."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from ._i18n import later, say
from ._strict_json import lenient, strict

SCHEMA = "steadygrad.check/1"

OUTCOME = "check.json"
"""File in which the child of `steadygrad check` leaves its result."""

SIGNAL_WITHIN = (1 / 30, 30.0)
"""What a net may make of the signal's size from end to end."""

GRADIENT_WITHIN = (1e-4, 100.0)
"""Gradient of the first layers against that of the last ones. Sound deep nets stay within a few tens, and five default
layers with ReLU, which learn, shrink it to a hundredth."""


SCALES = frozenset({"init-gain", "input-scale", "loss-scale", "recurrent-gain", "attention-logits", "half-overflow"})
"""Causes that make any learning rate look too large."""

OUT_OF_SCALE = SCALES | {"outlier-batch"}
"""The same where it is seen in a pass by itself: few samples of it do so too."""

VANISHING = frozenset({"vanishing-depth", "vanishing-recurrent", "dead-units", "saturation", "symmetric-init"})
"""Causes of learning nothing."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """One number beside its limit. `beyond` marks a deviation: without an effect it is no finding."""

    quantity: str
    where: str
    value: float
    limit: str
    reason: str
    beyond: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """A cause with what speaks for it. `cause` is a permanent kebab-case id; `confidence` lies between 0 and 1.

    `where` is a layer, a parameter or a part of the batch; `evidence` holds the numbers, `measured` those beside their
    limits; `remedies` names changes to try; `step` is None before step 0; `line` is the line of the user's code that
    it is about ("train.py:12"), None where it is not known; `proven` says whether a trial has confirmed it, None if
    none was made.
    """

    cause: str
    confidence: float
    where: str
    summary: str
    evidence: Mapping[str, Any] = field(default_factory=dict)
    remedies: tuple[str, ...] = ()
    step: int | None = None
    proven: bool | None = None
    measured: tuple[Measurement, ...] = ()
    line: str | None = None

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Finding":
        """The inverse of `dataclasses.asdict`."""
        measured = tuple(Measurement(**each) for each in values.get("measured", ()))
        return cls(**{**values, "remedies": tuple(values.get("remedies", ())), "measured": measured})


@dataclass(frozen=True, slots=True)
class LayerProfile:
    """What one layer did to the signal in the first pass: root mean squares, and gains against the layers before it.

    `gain` is the signal's, `grad_gain` the gradient's on its way back through this layer; None where there is no layer
    before it, or where no gradient came by.
    """

    name: str
    kind: str
    depth: int
    calls: int
    weight_rms: float
    rule_rms: float
    input_rms: float | None
    output_rms: float
    output_absmax: float
    grad_rms: float | None
    gain: float | None
    grad_gain: float | None
    activation: str | None
    normalised: bool


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What `sg.check` has found. True in a condition when nothing was found.

    `time_gradients` has, for each recurrent layer, the root mean square of the loss's gradient with respect to its
    state at each time step; `skipped` says what could not be measured, and why.
    """

    target: str
    parameters: int
    findings: tuple[Finding, ...]
    measurements: tuple[Measurement, ...]
    layers: tuple[LayerProfile, ...]
    time_gradients: Mapping[str, Sequence[float]]
    skipped: Mapping[str, str]
    seconds: float

    def __bool__(self) -> bool:
        return not self.findings

    @property
    def verdict(self) -> str:
        """ "sound" or "findings"."""
        return later("findings") if self.findings else later("sound")

    def to_dict(self) -> dict[str, Any]:
        """The result as JSON takes it: non-finite numbers are the strings "nan", "inf" and "-inf"."""
        return strict({"schema": SCHEMA, "verdict": self.verdict, **asdict(self)})

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "CheckResult":
        """The inverse of `to_dict`."""
        found = lenient({key: value for key, value in values.items() if key not in ("schema", "verdict")})
        findings = tuple(map(Finding.from_dict, found["findings"]))
        return cls(
            **{
                **found,
                "findings": findings,
                "measurements": tuple(Measurement(**each) for each in found["measurements"]),
                "layers": tuple(LayerProfile(**each) for each in found["layers"]),
            }
        )

    def __str__(self) -> str:
        head = {"verdict": say(self.verdict), "count": self.parameters, "seconds": self.seconds}
        lines = [say("{target}: {verdict} ({count:,} parameters, {seconds:.1f} s)", target=self.target, **head)]
        for finding in self.findings:
            told = {"cause": finding.cause, "where": finding.where, "summary": finding.summary}
            lines.append("  " + say("{cause} at {where} ({sure:.0%}): {summary}", sure=finding.confidence, **told))
            if finding.remedies:
                lines.append("    " + say("try: {remedies}", remedies=", ".join(finding.remedies)))
        for each in self.measurements:
            mark = "!" if each.beyond else " "
            lines.append(f" {mark} {each.quantity} {each.where}: {each.value:.4g} ({each.limit})")
        for name, reason in self.skipped.items():
            lines.append("  " + say("not measured: {what} ({why})", what=say(name), why=say(reason)))
        return "\n".join(lines)
