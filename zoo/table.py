"""What the tool said of the zoo against what is true: a confusion matrix and its counts."""

from collections import Counter
from collections.abc import Iterable, Sequence
from statistics import median
from typing import Any

from .watched import Outcome

HEALTHY = "healthy"

NOTHING = "(nothing)"


def counts(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Misses, false alarms, how often the right cause was first or second, first bad numbers found, delay and cost."""
    sound = [each for each in outcomes if not each.causes]
    failing = [each for each in outcomes if each.causes]
    told = [each for each in outcomes if each.located is not None]
    delays = [each.first_alarm - each.true_step for each in failing if _known(each)]  # type: ignore[operator]
    return {
        "failing": len(failing),
        "missed": sum(not each.alarmed for each in failing),
        "healthy": len(sound),
        "false_alarms": sum(each.alarmed or bool(each.found) for each in sound),
        "right_first": sum(each.right(1) for each in failing),
        "right_in_two": sum(each.right(2) for each in failing),
        "first_bad_known": len(told),
        "first_bad_found": sum(bool(each.located) for each in told),
        "steps_to_alarm": median(delays) if delays else None,
        "latest_alarm": max(delays, default=None),
        "overhead": median(each.overhead for each in outcomes) if outcomes else None,
        "seconds": sum(each.seconds for each in outcomes),
    }


def confusion(outcomes: Iterable[Outcome]) -> dict[str, Counter[str]]:
    """For each true cause how often each cause was named first."""
    matrix: dict[str, Counter[str]] = {}
    for each in outcomes:
        true = " or ".join(each.causes) or HEALTHY
        matrix.setdefault(true, Counter())[each.named[0] if each.named else NOTHING] += 1
    return matrix


def text(outcomes: Sequence[Outcome]) -> str:
    """Everything as text: what went wrong, case by case, the matrix, the counts."""
    lines = [_case(each) for each in outcomes if not _as_it_should_be(each)]
    if lines:
        lines = ["not as it should be:", *lines, ""]
    lines.append("named first, by true cause:")
    for true, named in sorted(confusion(outcomes).items()):
        right = sum(count for cause, count in named.items() if cause in true.split(" or ") or true == HEALTHY)
        total = sum(named.values())
        if true == HEALTHY:
            right = named[NOTHING]
        others = ", ".join(
            f"{count} {cause}"
            for cause, count in named.most_common()
            if not (cause in true.split(" or ") or (true == HEALTHY and cause == NOTHING))
        )
        lines.append(f"  {true:24} {right:3} of {total:3}" + (f"   {others}" if others else ""))
    found = counts(outcomes)
    lines += [
        "",
        f"failing {found['failing']}: missed {found['missed']}; right cause first {_share(found, 'right_first')}, "
        f"in the first two {_share(found, 'right_in_two')}",
        f"healthy {found['healthy']}: false alarms {found['false_alarms']}",
        f"first bad number found {found['first_bad_found']} of {found['first_bad_known']}; "
        f"alarm {found['steps_to_alarm']} steps after it (median), {found['latest_alarm']} (latest)",
        f"overhead {100 * (found['overhead'] or 0):.1f} % (median); {found['seconds']:.0f} s in all",
    ]
    return "\n".join(lines)


def _share(found: dict[str, Any], key: str) -> str:
    return f"{found[key]} ({found[key] / max(1, found['failing']):.0%})"


def _known(each: Outcome) -> bool:
    return each.first_alarm is not None and each.true_step is not None


def _as_it_should_be(each: Outcome) -> bool:
    if each.error and each.verdict != "stopped":
        return False
    if not each.causes:
        return not each.alarmed and not each.found
    return each.alarmed and each.right(1) and each.located is not False


def _case(each: Outcome) -> str:
    named = ", ".join(f"{found['cause']} {found['confidence']:.2f}" for found in each.found[:4]) or NOTHING
    line = f"  {each.name:52} {each.verdict:10} alarm {each.first_alarm}: {named}"
    if each.located is False:
        seen = each.first_nonfinite or {}
        line += f"; first bad: {seen.get('phase')} {seen.get('op')} at step {seen.get('step')}"
    return line + (f"; {each.error}" if each.error else "")
