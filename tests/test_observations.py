import dataclasses

import numpy as np
import pytest

from belief.events import NO_EVENTS
from belief.observations import observe
from belief.prices import Split
from belief.sources import load_prices


def day(text):
    return np.datetime64(text, "D")


@pytest.fixture(scope="module")
def nvda():
    return load_prices("NVDA")


def row_of(observations, session):
    return int(np.flatnonzero(observations.session == day(session))[0])


def test_each_session_but_the_first_has_a_row(nvda):
    observations = observe(nvda)
    np.testing.assert_array_equal(observations.session, nvda.session[1:])
    for values in (observations.log_return, observations.log_range, observations.intraday):
        assert values.shape == observations.session.shape
        assert np.isfinite(values).all()
    assert len(observations) == len(nvda.session) - 1


def test_a_row_is_about_the_session_it_is_dated(nvda):
    row = row_of(observe(nvda), "2024-03-01")
    assert observe(nvda).log_return[row] == pytest.approx(np.log(822.79 / 791.12), rel=1e-12)
    at = int(np.flatnonzero(nvda.session == day("2024-03-01"))[0])
    assert observe(nvda).log_range[row] == pytest.approx(
        np.log(nvda.high[at]) - np.log(nvda.low[at]), rel=1e-10
    )
    assert observe(nvda).intraday[row] == pytest.approx(
        np.log(nvda.close[at]) - np.log(nvda.open[at]), rel=1e-9
    )


@pytest.mark.parametrize("session", ["2000-06-27", "2007-09-11", "2021-07-20", "2024-06-10"])
def test_the_return_into_a_split_counts_the_new_shares(nvda, session):
    ratio = next(split.ratio for split in nvda.splits if split.session == day(session))
    at = int(np.flatnonzero(nvda.session == day(session))[0])
    expected = np.log(ratio * nvda.close[at] / nvda.close[at - 1])
    observations = observe(nvda)
    assert observations.log_return[row_of(observations, session)] == pytest.approx(
        expected, rel=1e-9
    )
    assert abs(expected) < 0.2


def test_rows_are_the_same_bits_whether_later_sessions_and_splits_are_known_or_not(nvda):
    whole, known = observe(nvda), observe(nvda.until(day("2021-07-19")))
    for field in dataclasses.fields(whole):
        cut = getattr(known, field.name)
        assert getattr(whole, field.name)[: len(cut)].tobytes() == cut.tobytes()


def test_a_session_that_reacts_to_an_event_is_flagged_and_no_other(nvda):
    observations = observe(nvda)
    flagged = observations.session[observations.event]
    np.testing.assert_array_equal(flagged, nvda.events.session[:-1])  # the last one lies ahead
    assert observations.event[row_of(observations, "2024-02-22")]
    assert not observations.event[row_of(observations, "2024-02-21")]
    without = observe(dataclasses.replace(nvda, events=NO_EVENTS))
    assert without.event.dtype == np.bool_
    assert without.event.shape == without.session.shape
    assert not without.event.any()


def test_a_declared_real_jump_is_a_return(nvda):
    known = nvda.until(day("2001-01-31"))
    declared = dataclasses.replace(known, splits=(*known.splits, Split(day("2001-01-03"), 1.0)))
    np.testing.assert_array_equal(observe(declared).log_return, observe(known).log_return)


def test_observations_cannot_be_written_to(nvda):
    observations = observe(nvda)
    with pytest.raises(ValueError, match="read-only"):
        observations.log_return[0] = 0.0
    with pytest.raises(ValueError, match="read-only"):
        observations.event[0] = True
    assert nvda.session[1:].flags.writeable is False
