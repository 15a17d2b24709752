import datetime
import hashlib
import io
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from belief import sessions
from belief.errors import UsageError
from belief.sessions import (
    horizon_of,
    is_session,
    last_closed_session,
    last_session_on_or_before,
    parse_day,
    session_after,
    session_close,
    sessions_between,
)


def day(text):
    return np.datetime64(text, "D")


DAYS = st.integers(0, 36_000).map(lambda n: day("1990-01-02") + np.timedelta64(n, "D"))


def test_march_2024_ends_on_the_thursday_before_good_friday():
    assert not is_session(day("2024-03-29"))
    assert last_session_on_or_before(day("2024-03-31")) == day("2024-03-28")
    assert session_after(day("2024-03-28"), 1) == day("2024-04-01")


@pytest.mark.parametrize(
    "closed",
    ["2001-09-11", "2001-09-14", "2012-10-29", "2025-01-09", "2025-02-17", "2024-03-30"],
)
def test_the_exchange_is_closed_on_its_own_extraordinary_days(closed):
    assert not is_session(day(closed))
    assert last_session_on_or_before(day(closed)) < day(closed)


def test_2024_has_252_sessions_and_each_is_one():
    sessions = sessions_between(day("2024-01-01"), day("2024-12-31"))
    assert sessions.size == 252
    assert sessions.dtype == np.dtype("datetime64[D]")
    assert all(is_session(session) for session in sessions)


def test_both_ends_belong_to_sessions_between():
    assert sessions_between(day("2024-03-28"), day("2024-03-28")).tolist() == [
        day("2024-03-28").item()
    ]
    assert sessions_between(day("2024-03-29"), day("2024-03-31")).size == 0


def test_an_end_before_the_start_gives_no_sessions_and_a_horizon_of_0():
    assert sessions_between(day("2024-03-28"), day("2024-03-01")).size == 0
    assert horizon_of(day("2024-03-28"), day("2024-03-01")) == 0
    assert horizon_of(day("2024-03-28"), day("2024-03-28")) == 0


def test_sessions_cannot_be_changed_by_who_asks():
    with pytest.raises(ValueError, match="read-only"):
        sessions_between(day("2024-03-01"), day("2024-03-28"))[0] = day("1999-01-01")


@settings(deadline=None)  # the first day of a decade builds a calendar
@given(origin=DAYS, horizon=st.integers(1, 504))
def test_session_after_and_horizon_of_undo_each_other(origin, horizon):
    target = session_after(origin, horizon)
    assert is_session(target)
    assert horizon_of(origin, target) == horizon
    assert horizon_of(origin, target - np.timedelta64(1, "D")) == horizon - 1


@settings(deadline=None)  # the first day of a decade builds a calendar
@given(asked=DAYS)
def test_the_last_session_is_the_nearest_one_not_after_the_day(asked):
    found = last_session_on_or_before(asked)
    assert found <= asked
    assert sessions_between(found, asked).tolist() == [found.item()]


@pytest.mark.parametrize("origin", ["2038-06-01", "2048-06-01", "2049-12-30"])
def test_a_horizon_may_cross_the_end_of_a_decade(origin):
    assert horizon_of(day(origin), session_after(day(origin), 504)) == 504


def test_answers_do_not_depend_on_what_was_asked_before():
    asked_first = "session_after(np.datetime64('2090-01-02'), 1); "
    question = "print(session_after(np.datetime64('2039-12-30'), 3))"
    imports = "import numpy as np; from belief.sessions import session_after; "
    answers = {
        subprocess.run(
            [sys.executable, "-c", imports + before + question],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for before in ("", asked_first)
    }
    assert answers == {"2040-01-05\n"}


@pytest.mark.parametrize("outside", ["1989-12-31", "2100-01-01", "1066-10-14"])
def test_a_day_outside_the_calendar_is_refused_with_the_valid_range(outside):
    for ask in (is_session, last_session_on_or_before, lambda d: session_after(d, 1)):
        with pytest.raises(UsageError, match=f"{outside}.*1990-01-01 to 2099-12-31"):
            ask(day(outside))


def test_not_a_day_is_refused():
    with pytest.raises(UsageError, match="NaT"):
        is_session(np.datetime64("NaT", "D"))


def test_the_first_day_of_the_calendar_has_no_session_before_it():
    with pytest.raises(UsageError, match="1990-01-01 is before the first session"):
        last_session_on_or_before(day("1990-01-01"))


@pytest.mark.parametrize("horizon", [0, -1, 25_001])
def test_a_horizon_out_of_range_is_refused(horizon):
    with pytest.raises(UsageError, match=f"{horizon} sessions"):
        session_after(day("2024-03-28"), horizon)


def test_a_horizon_beyond_the_calendar_is_refused():
    with pytest.raises(UsageError, match="beyond the calendar's end, 2099-12-31"):
        session_after(day("2099-12-01"), 100)


@pytest.mark.parametrize(
    "text",
    ["", "March 2024", "2024-03", "20240328", "2024-02-30", "2024-3-28", "2024-W13-4", "now"],
)
def test_a_text_that_is_no_iso_day_is_refused_by_name(text):
    with pytest.raises(UsageError) as caught:
        parse_day(text)
    assert repr(text) in str(caught.value)
    assert "YYYY-MM-DD" in str(caught.value)


def test_spaces_around_a_day_do_not_matter():
    assert parse_day(" 2024-03-28\n") == day("2024-03-28")


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """Ask for the calendar to 2039 again; counts how often it had to be computed."""
    whole = sessions._sessions_through(2039).copy()
    computed = []
    monkeypatch.setenv("BELIEF_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(
        sessions, "_computed", lambda last_year: computed.append(last_year) or whole.copy()
    )

    def ask():
        found = sessions._sessions_through.__wrapped__(2039)
        np.testing.assert_array_equal(found, whole)
        assert found.dtype == np.dtype("datetime64[D]")
        assert not found.flags.writeable
        return len(computed)

    assert ask() == 1
    return ask, next((tmp_path / "sessions").iterdir()), whole


def saved(days):
    file = io.BytesIO()
    np.save(file, days)
    return file.getvalue()


def swapped(days):
    changed = days.copy()
    changed[[5, 6]] = changed[[6, 5]]
    return changed


def with_nat(days):
    changed = days.copy()
    changed[100] = np.datetime64("NaT")
    return changed


WRONG_DAYS = {
    "a session missing": lambda days: np.delete(days, 100),
    "reversed": lambda days: days[::-1],
    "swapped": swapped,
    "NaT": with_nat,
    "cut short": lambda days: days[:-1],
    "none": lambda days: days[:0],
}
DAMAGE = {
    "empty": lambda content, days: b"",
    "a zip": lambda content, days: b"PK\x03\x04" + bytes(100),
    "a zip's end": lambda content, days: b"PK\x05\x06" + bytes(18),
    "an .npy file": lambda content, days: saved(days),
    "an .npy header that is no Python": lambda content, days: saved(days)[:10] + b"(" * 500,
    "an .npy file of a size beyond memory": lambda content, days: saved(days).replace(
        str(days.size).encode(), b"9" * 15
    ),
    "half": lambda content, days: content[: len(content) // 2],
    "a byte less": lambda content, days: content[:-1],
    "a byte more": lambda content, days: content + b"\0",
    "a bit": lambda content, days: content[:5000] + bytes([content[5000] ^ 1]) + content[5001:],
    "only its digest": lambda content, days: content[:65],
    "another calendar's digest": lambda content, days: (
        hashlib.sha256(b"XNYS-0-2049.days\n" + content[65:]).hexdigest().encode() + content[64:]
    ),
}
for name, change in WRONG_DAYS.items():
    DAMAGE[name] = lambda content, days, change=change: content[:65] + change(days).tobytes()
    DAMAGE[name + ", as .npy"] = lambda content, days, change=change: saved(change(days))


def test_sessions_kept_on_disk_are_used_again(kept):
    ask, _, _ = kept
    assert ask() == 1


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_damaged_sessions_on_disk_are_computed_and_kept_again(kept, damage):
    ask, path, whole = kept
    path.write_bytes(damage(path.read_bytes(), whole))
    assert ask() == 2
    assert ask() == 2


def test_a_pipe_or_a_folder_in_place_of_kept_sessions_does_not_block(kept):
    ask, path, _ = kept
    path.unlink()
    path.mkdir()
    assert ask() == 2
    path.rmdir()
    os.mkfifo(path)
    assert ask() == 3


def test_half_days_close_at_one():
    assert session_close(day("2024-11-29")).hour == 13
    assert session_close(day("2024-12-02")).hour == 16


def test_only_a_session_has_a_close():
    with pytest.raises(UsageError, match="2024-11-28 is not a session"):
        session_close(day("2024-11-28"))


@pytest.mark.parametrize(
    ("moment", "last"),
    [
        ("2024-11-29T18:19:00+00:00", "2024-11-27"),  # 13:19 in New York, before it has settled
        ("2024-11-29T18:20:00+00:00", "2024-11-29"),
        ("2024-12-01T12:00:00+00:00", "2024-11-29"),  # a Sunday
        ("2024-12-03T01:00:00+00:00", "2024-12-02"),  # still the evening of the 2nd there
        ("2024-07-05T19:00:00+00:00", "2024-07-03"),
    ],
)
def test_a_session_is_closed_twenty_minutes_after_its_end(moment, last):
    assert last_closed_session(datetime.datetime.fromisoformat(moment)) == day(last)
