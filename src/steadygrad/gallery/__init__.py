"""The gallery: real scripts that explode, run bare, watched, repaired, and with each cure. No torch.

`demos` is what there is, `cures` what is tried on each, `attempt` one run of a script, `exhibit` all runs of a demo in
their order, `curve` what is drawn over a length or a rate, `table` and `picture` what comes of them, `page` a page of
both.
"""

from .attempt import Attempt
from .cures import NOTHING, REPAIR, WATCHED
from .demos import DEMOS, Demo, demo, find_example
from .exhibit import Events, Exhibit, Plan
from .page import write_page
from .picture import require_matplotlib, write_picture, write_thumbnail
from .table import Table, cures_table, curve_table, heroes_table

__all__ = [
    "DEMOS",
    "NOTHING",
    "REPAIR",
    "WATCHED",
    "Attempt",
    "Demo",
    "Events",
    "Exhibit",
    "Plan",
    "Table",
    "cures_table",
    "curve_table",
    "demo",
    "find_example",
    "heroes_table",
    "require_matplotlib",
    "write_page",
    "write_picture",
    "write_thumbnail",
]
