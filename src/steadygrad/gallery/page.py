"""A demo as a page of Markdown: what it is, what the command has printed, the picture."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .._i18n import say
from ..remedies import remedy
from .cures import TOGETHER, WEIGHT_DECAY, remedies
from .exhibit import Exhibit
from .table import NAMES, cures_table, curve_table, heroes_table


def write_page(exhibit: Exhibit, summary: Mapping[str, Any], command: str, picture: str, path: Path) -> None:
    """Write the page of a demo that was run.

    Args:
        exhibit: its runs.
        summary: of the watched run.
        command: the command line that has made it.
        picture: the picture's file, as the page names it.
        path: of the page.
    """
    demo, plan = exhibit.plan.demo, exhibit.plan
    title = say(demo.title)
    alone = {"optimizer": NAMES[demo.optimizer], "seed": plan.seeds[0], "steps": plan.steps}
    each = {"steps": plan.steps, "seeds": ", ".join(map(str, plan.seeds))}
    runs = (
        say("{steps} steps, seeds {seeds}: the mean over them and the standard deviation.", **each)
        if len(plan.seeds) > 1
        else say("{steps} steps, seed {seeds}.", **each)
    )
    parts = [
        f"# {demo.name}",
        f"{title[0].upper()}{title[1:]}: `examples/{demo.file}`.",
        say(demo.about),
        say("**The mistake.** {mistake}", mistake=say(demo.mistake)),
        f"```\n{command}\n```",
        say("![Training loss by step, and the metric by cure]({picture})", picture=picture),
        say("## The run: bare, watched, repaired"),
        say("{optimizer}, seed {seed}, {steps} steps, counted from 0.", **alone),
        heroes_table(exhibit).markdown(),
        say("## The diagnosis of the watched run"),
        _diagnosis(summary),
        say("## The cures"),
        runs
        + " "
        + say(
            "The first row is the script as it is, with either optimizer at a rate that is too bold for it; the other "
            "rows have one thing more, applied from outside."
        ),
        cures_table(exhibit).markdown(),
        _what_the_rows_are(exhibit),
        *_sweep(exhibit),
    ]
    path.write_text("\n\n".join(part for part in parts if part) + "\n", encoding="utf-8")


def _sweep(exhibit: Exhibit) -> list[str]:
    table, demo, plan = curve_table(exhibit), exhibit.plan.demo, exhibit.plan
    if table is None:
        return []
    told = {"metric": demo.metric, "optimizer": NAMES[demo.optimizer], "seed": plan.seeds[0], "steps": plan.steps}
    return [
        say("## The metric by {label}", label=table.header[0]),
        say("{metric}; {optimizer}, seed {seed}, {steps} steps.", **told),
        table.markdown(),
    ]


def _diagnosis(summary: Mapping[str, Any]) -> str:
    parts = [say("Verdict: {verdict}, {reason}.", verdict=f"**{say(summary['verdict'])}**", reason=summary["reason"])]
    found = summary["findings"]
    items = []
    for finding in found[:2]:
        where = ", ".join(f"`{each}`" for each in (finding["where"], _short(finding.get("line"))) if each)
        link = f"[{finding['cause']}](../causes/{finding['cause']}.md)"
        items.append(f"- {link}, {finding['confidence']:.0%}{', ' if where else ''}{where}: {finding['summary']}")
    parts.append("\n".join(items))
    if found:
        code = [remedy(name).code for name in found[0]["remedies"][:2]]
        parts.append(say("What to change:") + "\n\n```python\n" + "\n".join(filter(None, code)) + "\n```")
    counts = ", ".join(f"{count} × {name}" for name, count in summary["action_counts"].items())
    if counts:
        parts.append(say("What was done meanwhile: {actions}.", actions=counts))
    return "\n\n".join(filter(None, parts))


def _short(line: str | None) -> str:
    """A line of the script without the folder of whoever has run it."""
    return line.rsplit("/", 1)[-1] if line else ""


def _what_the_rows_are(exhibit: Exhibit) -> str:
    words = []
    for each in remedies(TOGETHER, exhibit.plan.demo.optimizer, exhibit.plan.steps):
        options = ",".join(f"{name}={value}" for name, value in each.options.items())
        words.append(f"--remedy {each.remedy}" + (f":{options}" if options else ""))
    decay = ", ".join(f"{value:g} ({NAMES[name]})" for name, value in WEIGHT_DECAY.items())
    command = f"```\nsteadygrad run --mode observe {' '.join(words)} examples/{exhibit.plan.demo.file}\n```"
    told = say(
        "Clipping is to a norm of 1; the schedule rises over the first tenth and falls by half a cosine; the weight "
        "decay is {decay}. All four by hand, with the first optimizer:",
        decay=decay,
    )
    return f"{told}\n\n{command}"
