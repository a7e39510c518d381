"""Sizes of memory as people write them."""

import pytest

from steadygrad._sizes import parse_size


@pytest.mark.parametrize(
    ("text", "size"),
    [
        (0, 0),
        (10, 10),
        ("0", 0),
        ("512MB", 512 * 10**6),
        ("512 mb", 512 * 10**6),
        (" 2 GiB ", 2 << 30),
        ("2GIB", 2 << 30),
        ("1.5K", 1500),
        ("7B", 7),
        ("0.5KiB", 512),
        ("3m", 3 * 10**6),
    ],
)
def test_sizes_are_read(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text", [-1, "-1", "", " ", "MB", "a lot", "1.2.3", ".", "1e9", "12TB", "12 G iB", "1,000", "inf", "nan", "0x10"]
)
def test_what_is_no_size_is_refused(text):
    with pytest.raises(ValueError, match="is no size"):
        parse_size(text)
