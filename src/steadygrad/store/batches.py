"""The samples of a bad batch, kept only when asked: one file of plain arrays a step, no pickle."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np


def save_batch(folder: Path, step: int, arrays: Mapping[str, np.ndarray]) -> Path:
    """Write the arrays of a batch into a run folder, as `numpy.load(path)` reads them.

    Args:
        folder: the run folder.
        step: the step whose batch it was.
        arrays: by name; names become keys of the file.

    Returns:
        The file, `batch-step<step>.npz`.
    """
    path = folder / f"batch-step{step}.npz"
    with path.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)  # pyright: ignore[reportArgumentType]
    return path
