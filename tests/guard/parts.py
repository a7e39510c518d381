"""What tests of the guard's parts share."""

import json

LOSSES = {
    "positive": (3.0, 1.0),
    "negative": (-1.0, -50.0),
    "through zero": (2.0, -2.0),
    "tiny": (3e-9, 1e-9),
    "huge": (3e9, 1e9),
}
"""First and best loss of trainings of any sign and scale."""


def kept(part):
    """Everything that a part knows, comparable (NaN too)."""
    return json.dumps(part.state_dict(), sort_keys=True)
