"""A year of evenings: prices come one session at a time, and the real commands run on them.

A loopback server plays Yahoo with the bundled prices, another plays the language model, and the
clock is moved from close to close. Every evening `belief refit` publishes and `belief ask` answers
from what was published; on the way the source limits the rate once, sends a row that is wrong, one
that it revises the day after, and goes away for a while (a month in a year). At the end the ledger
is scored, verified, scored again by the backtest's functions, and held against a fresh backtest.

    python benchmarks/simulated_year.py [--sessions 252] [--history N] [--lead 250] [--last DAY]

prints what it checked, with figures, and exits with 1 when something is not as it should be. Of 40
sessions with --history 500 that takes 3 minutes on two cores; with the whole history, which is the
default, every fit reads 25 years.
"""

import argparse
import contextlib
import json
import os
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import timedelta
from multiprocessing import get_context
from pathlib import Path
from unittest import mock

import numpy as np
import pyarrow.parquet

sys.path.append(str(Path(__file__).parent.parent / "tests"))

from chat_server import KEY, ChatServer, chat_server
from daily import Finished, belief, changed, evening, repeating, short_history, stale_repeat
from yahoo_server import YahooServer

from belief import store as stored
from belief.backtest_parts import score_columns
from belief.ledger import Recorded, entries, forecast_of
from belief.prices import Prices
from belief.refit import HORIZONS, REFERENCES
from belief.sessions import is_session, session_after, session_close
from belief.store import open_store
from belief_tools.serving import MOST_BEHIND

LAST = "2025-02-14"
RATE_LIMIT, BAD_ROW, REVISED, AT_ONCE = 1, 2, 4, 5  # places in the year
LONGEST_OUTAGE = 21  # sessions
REVISION = 0.004  # of a close
AHEAD = 5  # sessions, of the question that is asked
LONGEST_FIGURES = 400  # characters
SAME_SCORE = 1e-9
LARGEST_MEAN = 1e-3  # nats between the ledger and a backtest, on average


class Checks:
    """What was looked at: each kind of check once, with how often it held and its last figures."""

    def __init__(self) -> None:
        self.held: dict[str, int] = {}
        self.failed: list[str] = []

    def that(self, name: str, held: bool, figures: object) -> None:
        """Note one look; one that fails is told at once."""
        self.held[name] = self.held.get(name, 0) + bool(held)
        if not held:
            self.failed.append(name)
            print(f"FAILED  {name}: {str(figures)[:LONGEST_FIGURES]}", flush=True)

    def told(self, name: str, held: bool, figures: str) -> None:
        """Note one look and print its figures."""
        self.that(name, held, figures)
        if held:
            print(f"{name}: {figures}", flush=True)

    def summary(self) -> None:
        """Print how often each kind of check held."""
        for name, times in self.held.items():
            print(f"{times:>5} x  {name}")


class Year:
    """The servers, the store, and what the source shows: a history and the year after it.

    Attributes:
        prices: what the source has; a row that it revises is revised here.
        sessions: those of the year.
        known: the last session that was published.
    """

    def __init__(
        self, prices: Prices, n_sessions: int, yahoo: YahooServer, chat: ChatServer, checks: Checks
    ) -> None:
        self.prices, self.yahoo, self.chat, self.checks = prices, yahoo, chat, checks
        self.sessions = prices.session[-n_sessions:]
        self.known = prices.session[-n_sessions - 1]
        self.began = time.monotonic()

    # ---- the commands ----

    def refit(self, session: np.datetime64, code: int, *words: str) -> Finished:
        """Refit on an evening and check how it ends."""
        finished = belief("refit", at=evening(session))
        self._ended(f"refit ends with exit code {code}", session, finished, code, *words)
        return finished

    def ask(self, session: np.datetime64, code: int, *options: str) -> dict[str, object]:
        """Ask for the price in a week on an evening; the answer."""
        target = session_after(session, AHEAD)
        close = float(self.prices.close[self.prices.session == self.known][0])
        self.chat._answer = repeating(str(target), close)
        question = f"What will Nvidia's price be on {target}?"
        finished = belief("ask", question, "--json", *options, at=evening(session))
        self._ended(f"ask ends with exit code {code}", session, finished, code)
        answer: dict[str, object] = json.loads(finished.out) if finished.out else {}
        if code == 0:
            age = int((session - self.known).astype(int))
            said = (answer.get("as_of"), answer.get("age_in_days"))
            right = said == (str(self.known), age)
            self.checks.that("an answer names the last session and its age", right, said)
        return answer

    def _ended(
        self, name: str, session: np.datetime64, finished: Finished, code: int, *words: str
    ) -> None:
        right = finished.code == code and all(word in finished.out for word in words)
        self.checks.that(name, right, f"{session}: {finished}")

    # ---- the days ----

    def live(self) -> None:
        """Live through the year."""
        outage = self.outage()
        for place, session in enumerate(self.sessions):
            self.yahoo.today = session
            if place in outage:
                self._away(session, place - outage.start, last=place == outage[-1])
            elif place == BAD_ROW:
                self._bad_row(session)
            else:
                self._evening(place, session)
            if place % 21 == 20:
                spent = time.monotonic() - self.began
                print(f"  {place + 1} sessions in {spent:.0f} s", file=sys.stderr, flush=True)

    def outage(self) -> range:
        """The places in the year at which the source cannot be reached."""
        begin = max(AT_ONCE + 1, len(self.sessions) // 2)
        wanted = max(MOST_BEHIND + 2, len(self.sessions) // 10)
        return range(begin, min(begin + min(wanted, LONGEST_OUTAGE), len(self.sessions) - 1))

    def _evening(self, place: int, session: np.datetime64) -> None:
        """Refit, refit again, and ask; before and after it what the day brings."""
        n_new = int(np.count_nonzero(self.prices.session > self.known))
        n_new -= int(np.count_nonzero(self.prices.session > session))
        if session_close(session).hour < 16:
            self._half_day(session)
        if place == RATE_LIMIT:
            self.yahoo.fail("429")
        if place == REVISED:
            self._revise(self.sessions[place - 1])
        before = len(self.yahoo.chart_requests)
        words = [f"published a model of the sessions through {session}"]
        if place == AT_ONCE:
            self._two_at_once(session)
        else:
            if place > 0:
                words.append(f"by {n_new} new session{'' if n_new == 1 else 's'} -> ")
            finished = self.refit(session, 0, *words)
            self._special(place, finished, len(self.yahoo.chart_requests) - before)
        self.known = session
        self.refit(session, 7, f"through {session}")
        self.ask(session, 0)
        self._day_after(session)

    def _special(self, place: int, finished: Finished, n_requests: int) -> None:
        if place == RATE_LIMIT:
            self.checks.told("a rate limit is waited out", n_requests == 2, f"{n_requests} tries")
        if place == REVISED:
            line = next((line for line in finished.out.splitlines() if "revised" in line), "")
            self.checks.told("a revised row is taken and told", bool(line), line.strip())

    def _half_day(self, session: np.datetime64) -> None:
        early = session_close(session) + timedelta(minutes=10)
        code = belief("refit", at=early).code
        self.checks.that("a half-day counts 20 minutes after its early close", code == 7, code)

    def _day_after(self, session: np.datetime64) -> None:
        """On a day without trading there is nothing new, and answers go on."""
        tomorrow = session + np.timedelta64(1, "D")
        if not is_session(tomorrow):
            code = belief("refit", at=evening(session) + timedelta(days=1)).code
            self.checks.that("on a day without trading nothing is new", code == 7, code)

    def _bad_row(self, session: np.datetime64) -> None:
        """A row that repeats the day before is refused; the model in service goes on answering."""
        self.yahoo.prices = stale_repeat(self.prices, str(session))
        finished = self.refit(session, 8, "stale repeat", "last good model")
        self.yahoo.prices = self.prices
        self.checks.told("a bad row is refused", finished.code == 8, finished.out.splitlines()[0])
        self.ask(session, 0)

    def _revise(self, session: np.datetime64) -> None:
        """Move a close a little, towards the farther end of its session's range."""
        row = int(np.flatnonzero(self.prices.session == session)[0])
        close, high = float(self.prices.close[row]), float(self.prices.high[row])
        up = high / close > close / float(self.prices.low[row])
        revised = close * (1.0 + REVISION if up else 1.0 - REVISION)
        self.prices = self.yahoo.prices = changed(self.prices, str(session), close=revised)

    def _two_at_once(self, session: np.datetime64) -> None:
        """Two processes refit; the first is held up in the middle of its fetch."""
        before = len(self.yahoo.chart_requests)
        self.yahoo.fail("stall")
        with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
            first = pool.submit(belief, "refit", at=evening(session))
            while len(self.yahoo.chart_requests) == before and not first.done():
                time.sleep(0.05)
            second = pool.submit(belief, "refit", at=evening(session)).result()
            codes = (first.result().code, second.code)
        self.checks.told(
            "of two refits at once one works and one says so", codes == (0, 9), second.err.strip()
        )

    def _away(self, session: np.datetime64, behind: int, *, last: bool) -> None:
        """An evening without network, `behind` of which came before it."""
        with without_network():
            if behind == 0:
                self.refit(session, 4)
            fresh = behind < MOST_BEHIND
            self.ask(session, 0 if fresh else 3)
            if last:
                self.ask(session, 0, "--stale-ok")
                n = behind + 1
                self.checks.told("old prices answer only who accepts them", True, f"{n} sessions")


@contextlib.contextmanager
def without_network() -> Iterator[None]:
    """Send requests for prices where nobody listens, and do not wait between tries."""
    import stamina

    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{closed.getsockname()[1]}"
        with mock.patch.dict(os.environ, BELIEF_YAHOO_URL=address):
            with stamina.set_testing(True, attempts=4, cap=True):
                yield


# What the ledger holds in the end


def check_ledger(year: Year, folder: Path, lead: int) -> None:
    """Score, verify, score again by other means, and compare with a fresh backtest."""
    checks, at = year.checks, evening(year.sessions[-1])
    finished = belief("score", at=at)
    checks.told("score ends with exit code 0", finished.code == 0, finished.out.splitlines()[0])
    finished = belief("ledger", "verify", at=at)
    checks.told("ledger verify ends with exit code 0", finished.code == 0, finished.out.strip())
    file = folder / "ledger.parquet"
    finished = belief("ledger", "export", str(file), at=at)
    with open_store(os.environ["BELIEF_STORE"]) as store, store.read() as connection:
        recorded = entries(connection)
        prices = stored.load_prices(connection, "NVDA")
    assert prices is not None
    rows = pyarrow.parquet.read_table(file).num_rows
    checks.told("every entry is exported", rows == len(recorded), f"{rows} rows")
    published = [each for each in recorded if each.entry.kind == "forecast"]
    check_content(year, recorded)
    check_scores(year, published, prices)
    compare_with_backtest(year, published, prices, folder, lead)


def check_content(year: Year, recorded: list[Recorded]) -> None:
    """Every publication wrote three models at six horizons down; every answer has its entry."""
    away = len(year.outage()) + 1  # and the evening of the bad row
    n_published = len(year.sessions) - away
    kinds = [(each.entry.model, each.entry.horizon) for each in recorded]
    counts = {
        (model, horizon): kinds.count((model, horizon))
        for model in ("belief", *REFERENCES)
        for horizon in HORIZONS
    }
    # questions on evenings without a publication add forecasts of the belief
    least = min(counts.values())
    right = least == n_published == counts["random_walk", 1]
    year.checks.told(
        "the ledger has every model at every horizon", right, f"{n_published} publications"
    )
    answers = [each for each in recorded if each.entry.kind == "answer"]
    asked = year.checks.held["ask ends with exit code 0"]
    scored = sum(each.score is not None for each in answers)
    due = sum(each.entry.target <= year.sessions[-1] for each in answers)
    right = (len(answers), scored) == (asked, due)
    year.checks.told("every answer is written down", right, f"{asked}, {scored} of them scored")


def check_scores(year: Year, published: list[Recorded], prices: Prices) -> None:
    """Score the stored forecasts with the functions of the backtest, from the closes themselves."""
    due = [each for each in published if each.entry.target <= prices.as_of]
    unscored = sum(each.score is None for each in due)
    year.checks.told("what has come is scored", not unscored, f"{len(due)} forecasts")
    due = [each for each in due if each.score is not None]
    forecasts = [forecast_of(each) for each in due]
    last_close = np.array([forecast.last_close for forecast in forecasts])
    close = np.array([close_at(prices, each.origin, each.target) for each in forecasts])
    quantiles = np.array([forecast.log_return_quantile for forecast in forecasts])
    again = score_columns(quantiles, np.log(close / last_close), last_close)
    off = max(
        float(np.abs(np.array([each.score[name] for each in due], float) - column).max())
        for name, column in again.items()
    )
    across = sum(each.entry.origin < split.session <= each.entry.target
                 for each in due for split in prices.splits)  # fmt: skip
    year.checks.told(
        "the backtest's functions score the same",
        off <= SAME_SCORE,
        f"off by {off:.1e} at most; {across} of the forecasts reach over a split",
    )


def close_at(prices: Prices, origin: np.datetime64, target: np.datetime64) -> float:
    """The close at a target in dollars of the origin, by multiplying the splits between them."""
    between = [split.ratio for split in prices.splits if origin < split.session <= target]
    return float(prices.close[prices.session == target][0] * np.prod(between))


def compare_with_backtest(
    year: Year, published: list[Recorded], prices: Prices, folder: Path, lead: int
) -> None:
    """Hold one-session scores against a fresh backtest that refits at every origin."""
    first = max(len(prices.session) - len(year.sessions) - lead, 250)
    file = folder / "backtest.parquet"
    finished = belief(
        *("backtest", "--from", str(prices.session[first]), "--horizons", "1"),
        *("--models", "belief,random_walk", "--refit-every", "1", "--jobs", "1"),
        *("--out", str(file)),
        at=evening(year.sessions[-1]),
    )
    year.checks.that("the backtest ends with exit code 0", finished.code == 0, finished)
    rows = pyarrow.parquet.read_table(file).to_pylist()
    walked = {(row["model"], row["origin"]): row["log_score"] for row in rows}
    revised = year.sessions[REVISED - 1]  # forecast from a close that was another later
    for model in ("belief", "random_walk"):
        gap = np.array([
            each.score["log_score"] - walked[model, each.entry.origin.item()]
            for each in published
            if (each.entry.model, each.entry.horizon) == (model, 1)
            and each.score is not None
            and each.entry.origin != revised
        ])  # fmt: skip
        mean, largest = float(gap.mean()), float(np.abs(gap).max())
        bound = LARGEST_MEAN if model == "belief" else 1e-6
        year.checks.told(
            f"a backtest scores {model} the same one session ahead",
            abs(mean) < bound,
            f"{mean:+.2e} nats on average over {len(gap)}, {largest:.1e} at most; "
            f"it began {lead} sessions before",
        )


def simulate(prices: Prices, n_sessions: int, lead: int, folder: Path) -> Checks:
    """Live through the last sessions of a history, in a folder of its own."""
    checks = Checks()
    start = prices.session[-n_sessions - 1]
    with (
        YahooServer(prices, today=start) as yahoo,
        chat_server([]) as chat,
        mock.patch.dict(
            os.environ,
            BELIEF_STORE=str(folder / "belief.db"),
            BELIEF_CACHE_DIR=str(folder / "cache"),
            BELIEF_YAHOO_URL=yahoo.url,
            OPENAI_BASE_URL=chat.url,
            OPENAI_API_KEY=KEY,
            OPENAI_MODEL="test-model",
        ),
    ):
        year = Year(prices, n_sessions, yahoo, chat, checks)
        year.live()
        check_ledger(year, folder, lead)
    return checks


def history_of(n_sessions: int, history: int | None, last: str) -> Prices:
    """The bundled prices from `history` sessions before the year to its last session."""
    whole = short_history(last, "1999-01-01")
    first = 0 if history is None else len(whole.session) - n_sessions - history
    return short_history(last, str(whole.session[first]))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--sessions", type=int, default=252)
    parser.add_argument("--history", type=int, help="sessions before the year; all of them")
    parser.add_argument("--lead", type=int, default=250, help="of the backtest, in sessions")
    parser.add_argument("--last", default=LAST, help="last session of the year")
    chosen = parser.parse_args()
    prices = history_of(chosen.sessions, chosen.history, chosen.last)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        checks = simulate(prices, chosen.sessions, chosen.lead, Path(folder))
    checks.summary()
    outcome = f"{len(checks.failed)} checks failed" if checks.failed else "all checks held"
    print(f"{chosen.sessions} sessions in {time.monotonic() - began:.0f} s: {outcome}")
    sys.exit(1 if checks.failed else 0)


if __name__ == "__main__":
    main()
