import csv
import dataclasses
import json
from importlib.resources import files

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from belief.errors import PricesError, UsageError
from belief.events import (
    NO_EVENTS,
    NOTICE,
    Events,
    bundled_events,
    parse_events,
    reaction_session,
    read_events,
)
from belief.sessions import horizon_of, session_after, sessions_between
from belief.sources import load_prices


def day(text):
    return np.datetime64(text, "D")


def days(*texts):
    return np.array(texts, dtype="datetime64[D]")


CALENDAR = sessions_between(day("1999-01-04"), day("2029-12-31"))
QUARTERLY = CALENDAR[np.arange(100, 2_000, 63)]


def position(session):
    return int(np.flatnonzero(CALENDAR == session)[0])


@pytest.fixture(scope="module")
def nvda():
    return bundled_events("NVDA")


@pytest.fixture(scope="module")
def announcements():
    text = (files("belief.data") / "NVDA.events.csv").read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


@pytest.mark.parametrize(
    ("announced", "timing", "reacts"),
    [
        ("2024-02-21", "after_close", "2024-02-22"),
        ("2012-05-11", "before_open", "2012-05-11"),
        ("2024-03-28", "after_close", "2024-04-01"),  # Good Friday and a weekend between
        ("2024-03-29", "before_open", "2024-04-01"),
        ("2024-03-30", "after_close", "2024-04-01"),
        ("2023-11-22", "after_close", "2023-11-24"),  # Thanksgiving between
        ("2024-02-16", "after_close", "2024-02-20"),  # Presidents' Day after a weekend
    ],
)
def test_the_reaction_session_is_the_first_whose_close_can_react(announced, timing, reacts):
    assert reaction_session(day(announced), timing) == day(reacts)


def test_the_bundled_list_has_the_90_announcements_of_its_provenance(nvda, announcements):
    provenance = json.loads((files("belief.data") / "NVDA.events.json").read_bytes())
    assert len(nvda) == len(announcements) == provenance["rows"] == 90
    assert announcements[0]["announced"] == provenance["first_announced"]
    assert announcements[-1]["announced"] == provenance["last_announced"]
    assert str(nvda.session[0]) == "2002-11-08"
    assert str(nvda.session[-1]) == "2025-02-27"
    assert day("2012-05-11") in nvda.session  # the only one before the open


def test_the_exact_session_is_public_20_sessions_before(nvda):
    ahead = [horizon_of(k, s) for k, s in zip(nvda.known_from, nvda.session, strict=True)]
    assert ahead == [20] * len(nvda)


def volume_peak(adjusted, row):
    """Whether no other session within 6 either side traded more shares."""
    return adjusted[row - 6 : row + 7].argmax() == 6


def test_most_reaction_sessions_are_the_volume_peak_of_their_neighbourhood(nvda, announcements):
    prices = load_prices("NVDA")
    adjusted = prices.volume * prices.split_factor()
    peaks = {
        str(session): volume_peak(adjusted, int(np.flatnonzero(prices.session == session)[0]))
        for session in nvda.session
        if session <= prices.as_of
    }
    listed = [row["volume_peak_on_reaction_session"] for row in announcements]
    assert [str(int(peak)) for peak in peaks.values()] == listed[:-1]
    assert listed[-1] == ""
    assert sum(peaks.values()) == 81
    assert sum(peaks.values()) / len(peaks) >= 0.85


def test_one_session_earlier_or_later_is_seldom_the_volume_peak(nvda):
    prices = load_prices("NVDA")
    adjusted = prices.volume * prices.split_factor()
    rows = np.flatnonzero(nvda.flags(prices.session))
    for shift in (-1, 1):
        assert np.mean([volume_peak(adjusted, row + shift) for row in rows]) < 0.15


def test_until_keeps_what_is_public_at_the_close_of_as_of(nvda):
    known_from = nvda.known_from[40]
    assert len(nvda.until(known_from)) == 41
    assert len(nvda.until(known_from - np.timedelta64(1, "D"))) == 40
    assert nvda.until(day("2025-02-14")) is nvda
    assert len(nvda.until(day("2002-01-02"))) == 0
    assert len(nvda.until(np.datetime64("NaT"))) == 0


def test_flags_are_true_at_reaction_sessions_only(nvda):
    whole = nvda.flags(CALENDAR)
    np.testing.assert_array_equal(CALENDAR[whole], nvda.session)
    part = sessions_between(day("2024-01-02"), day("2024-03-28"))
    assert part[nvda.flags(part)].tolist() == [day("2024-02-22").item()]
    assert not NO_EVENTS.flags(part).any()
    assert NO_EVENTS.flags(part).shape == part.shape


def test_without_events_nothing_is_ahead():
    for horizon in (1, 63, 504):
        assert NO_EVENTS.ahead(day("2024-03-01"), horizon).shape == (0, horizon)
    assert len(NO_EVENTS) == 0
    assert NO_EVENTS.as_text() == ""
    assert NO_EVENTS.until(day("2024-03-01")) is NO_EVENTS
    assert bundled_events("XYZ") is NO_EVENTS
    assert bundled_events("../NVDA") is NO_EVENTS


@pytest.mark.parametrize("left", range(1, NOTICE + 1))
def test_an_announced_event_is_a_single_1(nvda, left):
    reacts = day("2024-08-29")
    as_of = CALENDAR[position(reacts) - left]
    expected = np.zeros((1, 40))
    expected[0, left - 1] = 1.0
    np.testing.assert_array_equal(nvda.ahead(as_of, 40)[:1], expected)
    np.testing.assert_array_equal(nvda.ahead(as_of, left), expected[:, :left])
    assert nvda.ahead(as_of, max(left - 1, 1)).shape[0] == (left == 1)


def test_an_event_is_no_longer_ahead_at_its_own_close(nvda):
    assert nvda.ahead(day("2024-08-29"), 10).shape == (0, 10)


def test_an_event_that_is_not_public_has_no_mass_in_the_next_20_sessions(nvda):
    for as_of in sessions_between(day("2003-06-02"), day("2025-02-14"))[::3]:
        ahead = nvda.ahead(as_of, 63)
        public = nvda.until(as_of).session > as_of
        np.testing.assert_array_equal(ahead[public.sum() :, :NOTICE], 0.0)
        np.testing.assert_array_equal(ahead[: public.sum()].max(axis=1), 1.0)


@pytest.mark.parametrize("horizon", [1, 21, 63, 504])
def test_a_row_adds_up_to_1_or_less_and_is_never_empty(nvda, horizon):
    for as_of in sessions_between(day("2002-10-01"), day("2025-02-14"))[::7]:
        ahead = nvda.ahead(as_of, horizon)
        total = ahead.sum(axis=1)
        assert ahead.shape == (total.size, horizon)
        assert (ahead >= 0.0).all()
        assert ((total > 0.0) & (total <= 1.0 + 1e-12)).all()


def test_a_shorter_horizon_is_the_beginning_of_a_longer_one(nvda):
    for as_of in sessions_between(day("2005-01-03"), day("2025-02-14"))[::50]:
        long, short = nvda.ahead(as_of, 504), nvda.ahead(as_of, 63)
        np.testing.assert_array_equal(long[: len(short), :63], short)
        np.testing.assert_array_equal(long[len(short) :, :63], 0.0)


def test_two_years_ahead_hold_eight_events_soonest_first(nvda):
    for as_of in sessions_between(day("2005-01-03"), day("2024-12-31"))[::20]:
        ahead = nvda.ahead(as_of, 504)
        assert ahead.sum() == pytest.approx(8.0, abs=0.6)
        centre = ahead[ahead.sum(axis=1) > 0.5].argmax(axis=1)
        assert 7 <= centre.size <= 9  # the first may be due and the last half beyond the horizon
        assert (np.diff(centre) > 30).all()


def test_a_projection_keeps_the_weekday_of_last_year(nvda):
    ahead = nvda.ahead(day("2024-05-31"), 63)
    assert len(ahead) == 1
    likeliest = session_after(day("2024-05-31"), int(ahead[0].argmax()) + 1)
    assert likeliest - day("2023-08-24") == np.timedelta64(364, "D")


def test_without_history_the_likeliest_session_is_364_days_on():
    alone = Events(days("2022-08-25"))  # a Thursday
    ahead = alone.ahead(day("2023-05-31"), 100)
    assert session_after(day("2023-05-31"), int(ahead[0].argmax()) + 1) == day("2023-08-24")


def test_an_event_that_moved_within_seven_weeks_is_not_expected_twice():
    moved = np.array(QUARTERLY)
    moved[-1] = CALENDAR[position(QUARTERLY[-1]) + 12]
    events = Events(moved)
    as_of = CALENDAR[position(moved[-1]) - NOTICE]  # public, while its old session lies ahead too
    np.testing.assert_array_equal(events.ahead(as_of, 38), np.eye(38)[[NOTICE - 1]])
    after = events.ahead(moved[-1], 70)
    assert after.shape[0] == 1
    assert after[0].argmax() > 40


def test_an_event_that_is_late_is_expected_ever_later_and_then_no_more():
    events, last = Events(QUARTERLY), position(QUARTERLY[-1])
    due = last + 61  # about a quarter after the last event of the list
    likeliest = []
    for at in range(due - 40, due + 8):
        ahead = events.ahead(CALENDAR[at], 60)
        likeliest.append(at + 1 + int(ahead[0].argmax()))
    assert (np.diff(likeliest) >= 0).all()
    assert likeliest[-1] >= due + 8 + NOTICE
    silent = CALENDAR[last + 300]
    assert events.ahead(silent, 504).shape == (0, 504)


def test_without_two_years_of_history_the_window_is_wide():
    events = Events(QUARTERLY)
    young = events.ahead(QUARTERLY[2], 200)
    old = events.ahead(QUARTERLY[20], 200)
    assert young.max() < 0.2
    assert old.max() > 2 * young.max()
    assert old[0].max() < 1.0


@settings(deadline=None, max_examples=60)
@given(
    at=st.integers(0, 1_950),
    later=st.lists(st.integers(NOTICE + 1, 900), unique=True, max_size=12),
    horizon=st.sampled_from([1, 21, 63, 504]),
)
def test_garbage_in_later_events_changes_nothing_bit_for_bit(at, later, horizon):
    as_of = CALENDAR[at]
    public = QUARTERLY[CALENDAR.searchsorted(QUARTERLY) <= at + NOTICE]
    garbage = Events(np.concatenate([public, CALENDAR[sorted(at + ahead for ahead in later)]]))
    truth, known = Events(QUARTERLY), CALENDAR[: at + 1]
    assert (
        garbage.until(as_of).as_text() == truth.until(as_of).as_text() == Events(public).as_text()
    )
    assert garbage.flags(known).tobytes() == truth.flags(known).tobytes()
    expected = truth.ahead(as_of, horizon)
    for other in (garbage, garbage.until(as_of)):
        ahead = other.ahead(as_of, horizon)
        assert ahead.shape == expected.shape
        assert ahead.tobytes() == expected.tobytes()


def test_a_day_that_is_no_session_stands_for_the_session_before_it(nvda):
    friday, sunday = day("2024-05-31"), day("2024-06-02")
    np.testing.assert_array_equal(nvda.ahead(sunday, 63), nvda.ahead(friday, 63))


def realised(nvda, *, first, last):
    """For each as_of and each event 21 to 63 sessions ahead: where in which row it fell."""
    targets = np.array([position(session) for session in nvda.session])
    for as_of in sessions_between(day(first), day(last)):
        column = targets - position(as_of) - 1
        ahead = nvda.ahead(as_of, 130)  # so far that rows of events within 63 are whole
        for at in column[(column >= NOTICE) & (column < 63)]:
            yield int(at), ahead[ahead[:, at].argmax()]


def likeliest(row, *, level):
    """The sessions of highest probability that together have at least `level`."""
    order = np.argsort(-row, kind="stable")
    return order[: int(np.searchsorted(np.cumsum(row[order]), level)) + 1]


# The spread was chosen on announcements before 2013.
@pytest.mark.parametrize(
    ("first", "last"), [("2005-11-14", "2012-12-31"), ("2013-01-02", "2025-02-14")]
)
def test_once_3_years_are_known_windows_are_narrow_and_hold_what_they_promise(nvda, first, last):
    rows = list(realised(nvda, first=first, last=last))
    assert len(rows) > 1_200
    windows = [(at, likeliest(row, level=0.9)) for at, row in rows]
    assert 0.88 <= np.mean([at in window for at, window in windows]) <= 0.95
    assert np.mean([window.size for _, window in windows]) < 8
    probability = np.array([row[at] for at, row in rows])
    assert probability.min() > 0.0
    assert probability.mean() >= 0.3
    assert np.exp(np.log(probability).mean()) >= 0.15  # the 43 sessions alike would be 0.023


def test_as_many_events_arrive_as_were_expected(nvda):
    expected = arrived = 0.0
    targets = nvda.session[nvda.session <= day("2025-02-14")]
    for as_of in sessions_between(day("2005-11-14"), targets[-1])[:-63]:
        expected += nvda.ahead(as_of, 63).sum()
        last = CALENDAR[position(as_of) + 63]
        arrived += np.count_nonzero((targets > as_of) & (targets <= last))
    assert expected == pytest.approx(arrived, rel=0.02)


@pytest.mark.parametrize(
    ("sessions", "message"),
    [
        (["2024-03-29"], "event at 2024-03-29, which is not a session"),
        (["2024-02-22", "2024-02-22"], "event at 2024-02-22 follows 2024-02-22"),
        (["2024-02-22", "2024-02-21"], "event at 2024-02-21 follows 2024-02-22"),
        (["2024-02-22", "NaT"], "event at NaT follows 2024-02-22"),
        (["NaT"], "NaT is outside the calendar"),
        (["1980-01-02"], "1980-01-02 is outside the calendar"),
        (["2100-01-04"], "2100-01-04 is outside the calendar"),
    ],
)
def test_a_session_that_no_event_can_have_is_refused_by_value(sessions, message):
    with pytest.raises(UsageError, match=message):
        Events(days(*sessions))


def test_a_horizon_or_as_of_outside_the_calendar_is_refused(nvda):
    with pytest.raises(UsageError, match="a horizon of 0 sessions"):
        nvda.ahead(day("2024-03-01"), 0)
    with pytest.raises(UsageError, match="NaT is outside the calendar"):
        nvda.ahead(np.datetime64("NaT", "D"), 5)
    with pytest.raises(UsageError, match="beyond the calendar's end"):
        nvda.ahead(day("2099-12-01"), 63)


def test_windows_at_the_end_of_the_calendar_are_left_out():
    sessions = sessions_between(day("2096-01-02"), day("2099-11-20"))[::63]
    ahead = Events(sessions).ahead(day("2099-11-20"), 20)
    assert ahead.shape[1] == 20


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("2024-02-21,at_noon", "timing 'at_noon' is not one of after_close, before_open"),
        ("2024-02-21,", "timing '' is not one of after_close, before_open"),
        ("2024-02-21", "timing '' is not one of after_close, before_open"),
        ("21.02.2024,after_close", "'21.02.2024' is not a day"),
        ("2023-02-30,after_close", "'2023-02-30' is not a day"),
        (
            "2023-11-21,after_close",
            "2023-11-21 after_close moves 2023-11-22, which does not follow",
        ),
        (
            "2023-11-20,after_close",
            "2023-11-20 after_close moves 2023-11-21, which does not follow",
        ),
        ("1980-02-21,after_close", "1980-02-21 is outside the calendar"),
    ],
)
def test_a_bad_line_is_refused_by_line_and_value(line, message):
    text = f"announced,timing,note\n2023-11-21,after_close,a note\n{line}\n"
    with pytest.raises(PricesError) as caught:
        parse_events(text, name="XYZ.events.csv")
    assert str(caught.value).startswith(f"XYZ.events.csv line 3: {message}")
    assert "\n" not in str(caught.value)


def test_a_list_without_its_columns_is_refused():
    with pytest.raises(PricesError, match=r"^a\.csv has no column timing$"):
        parse_events("announced,note\n2023-11-21,x\n", name="a.csv")
    with pytest.raises(PricesError, match=r"^a\.csv has no column announced, timing$"):
        parse_events("", name="a.csv")


@pytest.fixture
def folder(tmp_path):
    for name in ("NVDA.events.csv", "NVDA.events.json"):
        (tmp_path / name).write_bytes((files("belief.data") / name).read_bytes())
    return tmp_path


def test_a_list_with_one_flipped_bit_is_refused(folder):
    assert len(read_events(folder, symbol="NVDA")) == 90
    content = bytearray((folder / "NVDA.events.csv").read_bytes())
    content[500] ^= 1
    (folder / "NVDA.events.csv").write_bytes(bytes(content))
    with pytest.raises(PricesError, match=r"^bundled NVDA.events.csv is damaged"):
        read_events(folder, symbol="NVDA")


@pytest.mark.parametrize("provenance", [b"", b"{}", b"[]", b"\xff\xfe", b'{"file": "none.csv"}'])
def test_a_list_without_its_provenance_is_refused(folder, provenance):
    (folder / "NVDA.events.json").write_bytes(provenance)
    with pytest.raises(PricesError, match="the bundled events of NVDA are damaged"):
        read_events(folder, symbol="NVDA")


def test_events_cannot_be_written_to_and_are_a_copy():
    session = days("2024-02-22")
    events = Events(session)
    session[0] = day("2024-02-23")
    assert events.session[0] == day("2024-02-22")
    for field in dataclasses.fields(events):
        with pytest.raises(ValueError, match="read-only"):
            getattr(events, field.name)[0] = day("2024-02-23")


def test_the_text_of_events_differs_where_they_do(nvda):
    texts = {Events(nvda.session[:count]).as_text() for count in range(len(nvda) + 1)}
    assert len(texts) == len(nvda) + 1
    assert Events(nvda.session.copy()).as_text() == nvda.as_text()
