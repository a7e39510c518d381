"""The report of a recorded run: one HTML file that opens from disk, without a network, without torch.

`extra` says what is missing, `html` fills the page's template, `write` puts it on disk; the figures are in
`curves`, `heatmap` and `timeline`, what they share in `theme`, `figures` lines them up on one axis.
"""

from .extra import require_ui
from .write import write_report

__all__ = ["require_ui", "write_report"]
