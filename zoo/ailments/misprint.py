"""One sample is ten thousand times as large, once in fifty batches from the fortieth on.

Cause: outlier-batch
"""

from zoo.ailments._calls import change_inputs


def _change(number, x):
    if number < 40 or number % 50 != 40:
        return x
    x = x.clone()
    x[len(x) // 2] *= 1e4
    return x


change_inputs(_change)
