"""Which stretch of the past a question is about, as of Friday 2024-03-01."""

import numpy as np
import pytest

from belief.errors import BeliefError, UsageError
from belief_tools.past_periods import EARLIEST, read_past_period

AS_OF = np.datetime64("2024-03-01")
NAMES = {"NVDA": ("Nvidia",)}


def period(text):
    found = read_past_period(text, AS_OF, NAMES)
    return None if found is None else tuple(str(day) for day in found)


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("How much has Nvidia gained since January?", "2024-01-01", "2024-03-01"),
        ("how has it done since 2020-03-20?", "2020-03-20", "2024-03-01"),
        ("and since 2020?", "2020-01-01", "2024-03-01"),
        ("the highest close in 2023?", "2023-01-01", "2023-12-29"),
        ("the highest close in 2024?", "2024-01-01", "2024-03-01"),  # what there is of it
        ("average price last month", "2024-02-01", "2024-02-29"),
        ("the range last week?", "2024-02-19", "2024-02-23"),
        ("in the last three months", "2023-12-01", "2024-03-01"),
        ("over the past year", "2023-03-01", "2024-03-01"),
        ("past 30 days", "2024-01-31", "2024-03-01"),
        ("the last 10 sessions", "2024-02-15", "2024-03-01"),
        ("this year", "2024-01-01", "2024-03-01"),
        ("this month", "2024-03-01", "2024-03-01"),
        ("this week", "2024-02-26", "2024-03-01"),
        ("year to date", "2024-01-01", "2024-03-01"),
        ("ytd", "2024-01-01", "2024-03-01"),
        ("quarter-to-date", "2024-01-01", "2024-03-01"),
        ("between 2023-01-01 and 2023-06-30", "2023-01-01", "2023-06-30"),
        ("from March 2023 to February 2024", "2023-03-01", "2024-02-29"),
        ("highest close ever", str(EARLIEST), "2024-03-01"),
        ("Nvidia's all-time high", str(EARLIEST), "2024-03-01"),
        ("on 2024-02-01", "2024-02-01", "2024-02-01"),
    ],
)
def test_a_period_is_read(text, first, last):
    assert period(text) == (first, last)


@pytest.mark.parametrize("text", ["what was the highest close?", "", "Nvidia"])
def test_no_period_is_none(text):
    assert period(text) is None


@pytest.mark.parametrize("text", ["the last 9999 years", "since 31 February", "last 0 days"])
def test_a_period_that_cannot_be_is_said_or_none(text):
    try:
        found = period(text)
    except BeliefError as error:
        assert "\n" not in str(error)
    else:
        assert found is None or found[0] <= found[1]


def test_a_period_ahead_is_an_error():
    with pytest.raises(UsageError, match="in June 2025"):
        period("in June 2025")
