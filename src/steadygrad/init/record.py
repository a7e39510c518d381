"""What an initialisation has done to a model, where, and why."""

from collections.abc import Iterator
from dataclasses import dataclass, field

WIDEST = 3
"""Places that are written out where many were treated alike."""


@dataclass(frozen=True)
class InitStep:
    """One thing that was done, or left.

    Attributes:
        what: such as "orthogonal", "scale" or "left alone".
        where: the parameter's name.
        why: the reason, in words.
        factor: by what the weight was multiplied, where it was.
    """

    what: str
    where: str
    why: str
    factor: float | None = None


@dataclass
class InitRecord:
    """The steps of an initialisation in order; prints as one line for each kind of step.

    Example:
        >>> record = InitRecord()
        >>> record.add("zero", "head.bias", "no class is likelier than another")
        >>> print(record)
        zero: head.bias: no class is likelier than another
    """

    steps: list[InitStep] = field(default_factory=list)

    def add(self, what: str, where: str, why: str, factor: float | None = None) -> None:
        """Note a step."""
        self.steps.append(InitStep(what, where, why, factor))

    @property
    def factors(self) -> dict[str, float]:
        """By what each weight was multiplied in all."""
        factors: dict[str, float] = {}
        for step in self.steps:
            if step.factor is not None:
                factors[step.where] = factors.get(step.where, 1.0) * step.factor
        return factors

    def where(self, what: str) -> list[str]:
        """The parameters to which this was done.

        Example:
            >>> InitRecord([InitStep("zero", "b", "")]).where("zero")
            ['b']
        """
        return [step.where for step in self.steps if step.what == what]

    def __len__(self) -> int:
        return len(self.steps)

    def __iter__(self) -> Iterator[InitStep]:
        return iter(self.steps)

    def __str__(self) -> str:
        alike: dict[tuple[str, str], list[InitStep]] = {}
        for step in self.steps:
            alike.setdefault((step.what, step.why), []).append(step)
        return "\n".join(_line(what, why, steps) for (what, why), steps in alike.items())


def _line(what: str, why: str, steps: list[InitStep]) -> str:
    places = list(dict.fromkeys(step.where for step in steps))
    shown = ", ".join(places if len(places) <= WIDEST else [places[0], "...", places[-1]])
    many = f" ({len(places)})" if len(places) > WIDEST else ""
    factors = [step.factor for step in steps if step.factor is not None]
    by = ""
    if factors:
        low, high = f"{min(factors):.3g}", f"{max(factors):.3g}"
        by = f" x {low}" if low == high else f" x {low} to {high}"
    return f"{what}{by}: {shown}{many}: {why}"
