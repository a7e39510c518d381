"""One sample has a NaN, once in fifty batches from the fortieth on.

Cause: nonfinite-data
"""

from zoo.ailments._calls import change_inputs


def _change(number, x):
    if number < 40 or number % 50 != 40:
        return x
    x = x.clone()
    x.view(-1)[x.numel() // 2] = float("nan")
    return x


change_inputs(_change)
