"""The colours of a map: logarithms from pale to dark, and slots for what is no positive number."""

from dataclasses import dataclass

import numpy as np
from bokeh.models import LinearColorMapper

from .theme import INF_COLOR, NAN_COLOR, ZERO_COLOR, palette

NOTHING = np.float32(-1e30)
"""Stands in the image for a cell without a gradient: below every logarithm of a float32."""

BEYOND = 1.0
"""Decades of colour beyond the middle 98 % of the cells.

One explosion to 1e38 must leave shades for the training before it.
"""


@dataclass(frozen=True)
class Shades:
    """Where the colours begin and end, as decimal logarithms, and the smallest and largest of the values."""

    low: float
    high: float
    smallest: float
    largest: float

    @classmethod
    def of(cls, values: np.ndarray) -> "Shades":
        """The shades for the cells of a map.

        >>> Shades.of(np.array([0.01, 1.0, 100.0, np.nan, 0.0, -1.0]))
        Shades(low=-2.0, high=2.0, smallest=-2.0, largest=2.0)
        """
        positive = values[np.isfinite(values) & (values > 0)].astype(np.float64)
        if not len(positive):
            return cls(-1.0, 1.0, -1.0, 1.0)
        logs = np.log10(positive)
        smallest, largest = float(logs.min()), float(logs.max())
        low = max(smallest, float(np.quantile(logs, 0.01)) - BEYOND)
        high = min(largest, float(np.quantile(logs, 0.99)) + BEYOND)
        if high - low < 0.5:
            low, high = (low + high) / 2 - 0.5, (low + high) / 2 + 0.5
        return cls(low, high, min(low, smallest), max(high, largest))

    @property
    def zero(self) -> np.float32:
        """Stands in the image for a zero: half a shade below the palest."""
        return np.float32(self.low - 0.5 * self._shade)

    @property
    def infinity(self) -> np.float32:
        """Stands in the image for an infinity."""
        return np.float32(self.low - 1.5 * self._shade)

    def mapper(self) -> LinearColorMapper:
        """From the image to colours. What is beyond the dark end stays dark, and its cell keeps its value."""
        colors = palette()
        return LinearColorMapper(
            palette=[INF_COLOR, ZERO_COLOR, *colors],
            low=self.low - 2 * self._shade,
            high=self.high,
            low_color="rgba(0, 0, 0, 0)",
            high_color=colors[-1],
            nan_color=NAN_COLOR,
        )

    def encode(self, values: np.ndarray) -> np.ndarray:
        """The image: logarithms, NaN as it is, and the marks of infinity, zero and nothing."""
        with np.errstate(divide="ignore", invalid="ignore"):
            image = np.log10(values)
        # What is below the pale end must not fall into the slots of zero and infinity.
        image = np.maximum(image, np.nextafter(np.float32(self.low), np.float32(np.inf)))
        image = np.where(values == 0, self.zero, image)
        image = np.where(np.isinf(values), self.infinity, image)
        return np.where(values < 0, NOTHING, image).astype(np.float32)

    def ends(self) -> tuple[str, str]:
        """What is written at both ends of the scale.

        >>> Shades(-1.0, 2.0, -1.0, 30.0).ends(), Shades(-9.0, 2.0, -9.5, 2.0).ends()
        (('0.1', '≥ 100'), ('≤ 1e-09', '100'))
        """
        low, high = (f"{float(f'{10.0**end:.2g}'):g}" for end in (self.low, self.high))
        return ("≤ " if self.smallest < self.low else "") + low, ("≥ " if self.largest > self.high else "") + high

    @property
    def _shade(self) -> float:
        return (self.high - self.low) / len(palette())
