"""Inputs are in other units: a thousand times as large, about a mean of as much.

Cause: input-scale, saturation
"""

from zoo.ailments._calls import change_inputs

change_inputs(lambda number, x: 1e3 * (x + 1.0))
