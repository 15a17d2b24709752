"""Nvidia in 2024, and how Yahoo is asked for it."""

import dataclasses
import datetime

import numpy as np
import pytest

from belief import yahoo
from belief.prices import COLUMNS
from belief.sources import load_prices
from belief.yahoo import fetch

SPLIT = np.datetime64("2024-06-10")  # 10:1
YEAR_END = datetime.datetime(2025, 1, 1, tzinfo=datetime.UTC)


def day(text):
    return np.datetime64(text, "D")


def new_york(text):
    return datetime.datetime.fromisoformat(text).replace(tzinfo=yahoo.EXCHANGE_TIME)


def nvidia_of_2024():
    """Nvidia in 2024, as traded, with the one split of that year."""
    whole = load_prices("NVDA")
    year = (whole.session >= day("2024-01-01")) & (whole.session <= day("2024-12-31"))
    columns = {name: getattr(whole, name)[year] for name in ("session", *COLUMNS)}
    splits = tuple(split for split in whole.splits if split.session == SPLIT)
    return dataclasses.replace(whole, splits=splits, **columns)


def error_of(kind, **arguments):
    with pytest.raises(kind) as caught:
        fetch("NVDA", **({"first": None, "now": YEAR_END} | arguments))
    text = str(caught.value)
    assert "\n" not in text and "<" not in text and "crumb" not in text
    assert type(caught.value) is kind
    return text
