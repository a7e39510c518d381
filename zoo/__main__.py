"""Run the zoo under `steadygrad run`, and print the confusion matrix of what it named against what is true."""

import argparse
import json
import sys
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from .scripts import ZOO, find
from .table import confusion, counts, text
from .watched import Outcome, watch


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m zoo", description=__doc__)
    parser.add_argument("words", nargs="*", help="run only scripts whose name contains one of these")
    parser.add_argument("--mode", default="protect", choices=("observe", "protect", "repair"), help="of steadygrad run")
    parser.add_argument("--fixed", action="store_true", help="failing scripts with their one-line fix: healthy ones")
    parser.add_argument("--folder", type=Path, default=ZOO, help="another folder with `healthy` and `failing`")
    parser.add_argument("--keep", type=Path, help="keep the run folders here")
    parser.add_argument("--jobs", type=int, default=2, help="scripts at a time")
    parser.add_argument("--json", type=Path, help="write the outcomes here")
    args = parser.parse_args()
    scripts = find(args.words, args.folder)
    if args.fixed:
        scripts = list({each.path: each for each in scripts if each.causes}.values())
    if not scripts:
        parser.error("no script has such a name")
    keep = None if args.keep is None else args.keep.resolve()
    outcomes: list[Outcome] = []
    columns = (
        TextColumn("zoo"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[now]}"),
    )
    pool = ThreadPoolExecutor(args.jobs)
    try:
        with Progress(*columns, console=Console(stderr=True)) as progress:
            task = progress.add_task("zoo", total=len(scripts), now="")
            runs = [pool.submit(watch, each, args.mode, mended=args.fixed, keep=keep) for each in scripts]
            for done in as_completed(runs):
                outcomes.append(done.result())
                progress.update(task, advance=1, now=outcomes[-1].name)
    except KeyboardInterrupt:
        print(f"stopped after {len(outcomes)} of {len(scripts)}; this is what was measured", file=sys.stderr)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    outcomes.sort(key=lambda each: each.name)
    print(text(outcomes))
    if args.json:
        plain = [asdict(each) for each in outcomes]
        args.json.write_text(
            json.dumps({"counts": counts(outcomes), "confusion": confusion(outcomes), "outcomes": plain}, indent=1)
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
