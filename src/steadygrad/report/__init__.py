"""The report of a recorded run, of trials or of a check: one HTML file that opens from disk, without a network.

`extra` says what is missing, `html` fills the page's template, `write` puts it on disk. The figures are in
`curves`, `heatmap` (colours in `shades`) and `timeline`; `theme` and `marks` are what they share, `figures`
their order. `range_test`, `trials` and `check` are pages of their own; the latter's figures (`check_figures`) stand on
`profile`: curves over layers or time steps.
"""

from .extra import require_ui
from .write import write_report, write_trials

__all__ = ["require_ui", "write_report", "write_trials"]
