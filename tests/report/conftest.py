"""One recording of each kind for the whole session: tests only read them."""

import pytest

from . import recordings

KINDS = ("healthy", "stormy", "crashed", "unobserved", "two_optimizers", "hostile")


@pytest.fixture(scope="session")
def recorded(tmp_path_factory):
    made = {}

    def get(kind):
        if kind not in made:
            made[kind] = getattr(recordings, kind)(tmp_path_factory.mktemp(kind))
        return made[kind]

    return get
