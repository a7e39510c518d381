"""NaN and infinities in JSON, which knows neither: they become the strings "nan", "inf" and "-inf". No torch."""

import math
from collections.abc import Mapping
from typing import Any

_NONFINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


def strict(value: Any) -> Any:
    """The same structure as JSON takes it.

    >>> strict({"loss": float("nan"), "steps": (1, -float("inf"))})
    {'loss': 'nan', 'steps': [1, '-inf']}
    """
    if isinstance(value, float) and not math.isfinite(value):
        return "nan" if math.isnan(value) else ("inf" if value > 0 else "-inf")
    if isinstance(value, Mapping):
        return {str(key): strict(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [strict(each) for each in value]
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    return value


def lenient(value: Any) -> Any:
    """The inverse, as far as JSON can tell: the three strings become numbers.

    >>> lenient({"loss": "nan", "where": "rnn"})
    {'loss': nan, 'where': 'rnn'}
    """
    if isinstance(value, str):
        return _NONFINITE.get(value, value)
    if isinstance(value, Mapping):
        return {key: lenient(each) for key, each in value.items()}
    if isinstance(value, list):
        return [lenient(each) for each in value]
    return value
