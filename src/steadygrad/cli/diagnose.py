"""`steadygrad diagnose`: why a recorded run went wrong."""

from dataclasses import asdict
from pathlib import Path

import click
from rich.console import Console
from rich.text import Text

from .._i18n import say
from ..diagnosis import open_run, to_json
from .findings import print_findings
from .language import Spoken, lang_option
from .outputs import is_piped, require_writable, write_whole
from .summary import STYLES, first_bad, number_of_causes


@click.command(cls=Spoken)
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--json",
    "json_path",
    type=click.Path(path_type=Path),
    help="Write verdict, findings and evidence here as JSON; - for standard output.",
)
@lang_option
def diagnose(run: Path, json_path: Path | None) -> None:
    """Say why a recorded RUN went wrong: causes, the best supported first, with evidence and what to change.

    \b
      steadygrad diagnose runs/train-20261123-101500
      steadygrad explain recurrent-gain           what a cause means

    Reads the recording alone, also while it is still written: neither torch nor the script is needed.
    """
    if json_path is not None:
        require_writable(json_path, "--json")
    recorded = open_run(run)
    findings = recorded.findings()
    summary = recorded.summary()
    console = Console(stderr=is_piped(json_path), highlight=False, soft_wrap=False)
    head = Text("steadygrad: ", style="bold")
    head.append(say(summary["verdict"]), style=STYLES.get(summary["verdict"], "bold"))
    head.append(f" · {summary['reason']}")
    console.print(head)
    if summary["first_nonfinite"]:
        console.print(Text("  " + say("first non-finite: {found}", found=first_bad(summary["first_nonfinite"]))))
    if findings:
        console.print(Text("  " + number_of_causes(len(findings)), style="dim"))
        print_findings(findings, console)
    elif summary["first_alarm_step"] is None:
        console.print(Text("  " + say("there was no incident, and so there is nothing to explain")))
    else:
        console.print(Text("  " + say("no cause fits what was recorded")))
    if json_path is not None:
        kept = ("schema", "run", "verdict", "reason", "first_alarm_step", "first_nonfinite")
        found = {key: summary[key] for key in kept}
        write_whole(json_path, to_json({**found, "findings": [asdict(each) for each in findings]}) + "\n")
