"""Robust running statistics of a stream of numbers, kept sorted so that each is read in constant or logarithmic time.

One implementation for everything that needs a median that one wild value cannot move: the clip and the guard.
"""

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterable

MAD_TO_SIGMA = 1.4826
"""Median absolute deviation to standard deviation, for a normal distribution."""


class RobustWindow:
    """The last `size` numbers of a stream, with their median, quantiles and median absolute deviation.

    Args:
        size: how many numbers are kept, at least 1.

    Raises:
        ValueError: `size` is below 1, or a number that is not finite is pushed.

    Example:
        >>> window = RobustWindow(5)
        >>> for value in (1.0, 2.0, 3.0, 4.0, 1000.0):
        ...     window.push(value)
        >>> window.median(), window.mad()
        (3.0, 1.0)

    References:
        Huber, P. J., Ronchetti, E. M., "Robust Statistics", 2009.
    """

    def __init__(self, size: int) -> None:
        if size < 1:
            raise ValueError(f"size is {size}, expected at least 1")
        self.size = size
        self._order: deque[float] = deque()
        self._sorted: list[float] = []

    def __len__(self) -> int:
        return len(self._sorted)

    def push(self, value: float) -> None:
        """Add a finite number; the oldest goes when the window is full."""
        if not abs(value) < float("inf"):
            raise ValueError(f"value is {value}, expected a finite number")
        if len(self._order) == self.size:
            oldest = self._order.popleft()
            del self._sorted[bisect_left(self._sorted, oldest)]
        self._order.append(value)
        insort(self._sorted, value)

    def replace(self, values: Iterable[float]) -> None:
        """Forget everything and start again from `values`."""
        self._order.clear()
        self._sorted.clear()
        for value in values:
            self.push(value)

    def quantile(self, fraction: float) -> float:
        """The value below which `fraction` of the window lies (linear between neighbours).

        Raises:
            ValueError: the window is empty or `fraction` is outside [0, 1].
        """
        if not self._sorted or not 0 <= fraction <= 1:
            raise ValueError(f"quantile {fraction} of {len(self._sorted)} numbers")
        place = fraction * (len(self._sorted) - 1)
        below = int(place)
        above = min(below + 1, len(self._sorted) - 1)
        return self._sorted[below] + (place - below) * (self._sorted[above] - self._sorted[below])

    def median(self) -> float:
        """The middle value."""
        return self.quantile(0.5)

    def mad(self) -> float:
        """The median of |x - median(x)|, found by walking outwards from the median."""
        values, middle = self._sorted, self.median()
        count = len(values)
        right = bisect_left(values, middle)
        left = right - 1
        lower = upper = 0.0
        for _ in range(count // 2 + 1):
            lower = upper
            if right >= count or (left >= 0 and middle - values[left] <= values[right] - middle):
                upper = middle - values[left]
                left -= 1
            else:
                upper = values[right] - middle
                right += 1
        return upper if count % 2 else (lower + upper) / 2

    def state_dict(self) -> dict[str, list[float] | int]:
        """Everything needed to go on from here."""
        return {"size": self.size, "values": list(self._order)}

    def load_state_dict(self, state: dict) -> None:
        """Go on from a `state_dict`."""
        self.size = int(state["size"])
        self.replace(state["values"])
