"""Judging a recorded run: its verdict, its level before and after an incident, its summary. No torch.

`verdict` names the state of a run, `summary` is the JSON object of `--json`.
"""

from .card import Card, card, cards
from .diagnose import diagnose
from .judged import JudgedRun, open_run
from .summary import lost_run, summarize, to_json
from .verdict import VERDICTS, Judgement, judge

__all__ = [
    "VERDICTS",
    "Card",
    "JudgedRun",
    "Judgement",
    "card",
    "cards",
    "diagnose",
    "judge",
    "lost_run",
    "open_run",
    "summarize",
    "to_json",
]
