"""Kill processes while they publish, and see that nothing is lost but what was not yet said done.

A worker brings in prices and publishes a model with its forecasts, again and again, as a refit
does: two transactions each time. It is killed with SIGKILL at a random moment. Every third worker
writes much with a small cache, so that pages of a transaction reach the disk before its end, and
is killed inside a transaction; every third runs into a disk that is full. After each, a fresh
process opens the store and looks at everything in it.

    python benchmarks/killed_publications.py              200 kills
    python benchmarks/killed_publications.py --kills 20   fewer
"""

import argparse
import collections
import multiprocessing
import resource
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from sqlalchemy import func, select

from belief import store_schema as schema
from belief.errors import StoreError
from belief.fitted_model import FittedModel
from belief.forecast import NORMAL_SCORES, Forecast
from belief.ledger import append, breaks, entries, forecast_entry
from belief.prices import Prices
from belief.refit import refitting
from belief.sessions import session_after, sessions_between
from belief.store import Publication, load_prices, open_store, publish, published, save_prices

SYMBOL, CODE, MOMENT = "XYZ", "c" * 64, "2024-01-02T22:00:00+00:00"
KINDS = ("any moment", "inside a transaction", "full disk")
SESSIONS = 300
PER_SESSION = 10  # publications for one more session
HORIZONS = (1, 5, 21)
HEAVY = 20_000  # numbers in a model that does not fit into the cache
SMALL_CACHE = 8  # pages
STAGES = ("prices", "model", "ledger", "commit")
SHORT = 0.02  # seconds, on average, from a stage to the kill
LONGEST_LIFE = 0.25  # seconds after a worker's start
SPARE = 100_000  # bytes beyond the database at which a file is as large as it may be
SPARE_PAGES = 40
ROUND = 20  # kills of one store, for a large one takes long to look at
PATIENCE = 60.0  # seconds after which a worker hangs
FULL = ("database or disk is full", "disk I/O error")  # what may be said of a full disk


class Told(NamedTuple):
    """What a worker said: where it is in its publication of a number."""

    stage: str
    number: int
    text: str = ""


class Seen(NamedTuple):
    """What a fresh process found, and what is wrong with it."""

    number: int
    faults: list[str]


# ---- what is published: everything follows from its number ----


def prices_of(number):
    """A history that every publication revises as a whole; now and then it is a session longer."""
    n = SESSIONS + number // PER_SESSION
    session = sessions_between(np.datetime64("2015-01-02"), np.datetime64("2060-12-31"))[:n]
    close = 50.0 * np.exp(np.cumsum(np.random.default_rng(number).normal(0.0, 0.01, n)))
    return Prices(
        symbol=SYMBOL,
        name="Xyz",
        currency="USD",
        session=session,
        open=close,
        high=close,
        low=close,
        close=close,
        volume=np.zeros(n),
        splits=(),
        source="made up",
        splits_known=True,
        retrieved_at=None,
    )


def model_of(number, prices, *, size):
    return FittedModel(
        model="belief",
        symbol=SYMBOL,
        parameters={"number": np.array([float(number)]), "ballast": np.arange(size) / 3.0},
        log_likelihood=0.0,
        n_iter=1,
        converged=True,
        trained_from=prices.session[1],
        trained_through=prices.as_of,
        known_through=prices.as_of,
        n_sessions=len(prices.session) - 1,
        fingerprint=prices.fingerprint(),
    )


def said_of(fitted, prices):
    forecasts = [
        Forecast(
            symbol=SYMBOL,
            model=fitted.model,
            origin=prices.as_of,
            target=session_after(prices.as_of, horizon),
            horizon=horizon,
            last_close=prices.last_close,
            log_return_quantile=0.02 * np.sqrt(horizon) * NORMAL_SCORES,
        )
        for horizon in HORIZONS
    ]
    return [
        forecast_entry(fitted, prices, forecast, made_at=MOMENT, live=True)
        for forecast in forecasts
    ]


def number_of(publication):
    return -1 if publication is None else int(publication.fitted.parameters["number"][0])


# ---- the worker ----


def work(where, kind, limit, line):
    """Publish until killed, and tell every stage; a pipe keeps what was told."""

    def tell(stage, number, text=""):
        line.send(Told(stage, number, text))

    with open_store(where) as store:
        with store.read() as connection:
            number = number_of(published(connection, SYMBOL)) + 1
        if limit == "file size":  # a process may not write beyond it, as if the disk ended there
            most = Path(where).stat().st_size + SPARE
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))
        tell("ready", number)
        while True:
            tell("begun", number)
            try:
                with refitting(SYMBOL, store):
                    publish_one(store, number, kind, limit, tell)
            except StoreError as error:
                tell("failed", number, str(error))
            else:
                tell("done", number)
                number += 1


def publish_one(store, number, kind, limit, tell):
    """Bring in prices, then publish a model and what it says: the transactions of a refit."""
    prices = prices_of(number)
    fitted = model_of(number, prices, size=8 if kind == KINDS[0] else HEAVY)
    with store.write() as connection:
        hinder(connection, kind, limit)
        tell("prices", number)
        save_prices(connection, prices)
    publication = Publication(fitted, prices.as_of, prices.fingerprint(), CODE, MOMENT)
    with store.write() as connection:
        hinder(connection, kind, limit)
        tell("model", number)
        publish(connection, publication)
        tell("ledger", number)
        append(connection, SYMBOL, said_of(fitted, prices))
        tell("commit", number)


def hinder(connection, kind, limit):
    """Make pages reach the disk before the end of the transaction, or the disk end early."""
    if kind != KINDS[0]:
        connection.exec_driver_sql(f"PRAGMA cache_size = {SMALL_CACHE}")
    if limit == "pages":
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + SPARE_PAGES}")


# ---- a fresh process ----


def look(where, line):
    """Open the store as anyone would, and tell what is in service and what is wrong."""
    try:
        with open_store(where) as store, store.read() as connection:
            line.send(inspected(connection))
    except Exception as error:  # whatever it is, the store did not survive
        line.send(Seen(-1, [f"{type(error).__name__}: {error}"]))


def inspected(connection):
    faults = []
    health = connection.exec_driver_sql("PRAGMA integrity_check").scalar()
    if health != "ok":
        faults.append(f"integrity check: {health}")
    faults += [f"entry {each.number}: {each.reason}" for each in breaks(connection)]
    prices, publication = load_prices(connection, SYMBOL), published(connection, SYMBOL)
    number = number_of(publication)
    if publication is not None:
        faults += incomplete(connection, publication, number)
    # prices come in a transaction of their own: those of the publication, or of the one begun
    if prices is None:
        known = number == -1
    else:
        either = range(max(number, 0), number + 2)
        known = prices.fingerprint() in {prices_of(k).fingerprint() for k in either}
    if not known:
        faults.append(f"the prices are neither those of publication {number} nor the next ones")
    return Seen(number, faults)


def incomplete(connection, publication, number):
    """What is missing of a publication, or is there of one that was never finished."""
    wanted = prices_of(number)
    if publication.prices_fingerprint != wanted.fingerprint():
        yield f"the model in service is not that of publication {number}"
    count = {
        table.name: connection.scalar(select(func.count()).select_from(table))
        for table in (schema.publications, schema.models, schema.ledger)
    }
    n = number + 1
    if count != {"publications": n, "models": n, "ledger": n * len(HORIZONS)}:
        yield f"{n} publications left {count}"
    size = publication.fitted.parameters["ballast"].size
    said = said_of(model_of(number, wanted, size=size), wanted)
    newest = entries(connection, symbol=SYMBOL, newest=len(said))
    if [each.entry for each in newest] != said:
        yield "the last forecasts are not those of the model in service"


# ---- killing ----


def start(context, target, *args):
    """Start a process that tells something; the process and the end to listen at."""
    listen, speak = context.Pipe(duplex=False)
    process = context.Process(target=target, args=(*args, speak))
    process.start()
    speak.close()
    return process, listen


def heard(line, seconds):
    """The next thing that is told, or None after some time or when nobody is left to tell it."""
    try:
        return line.recv() if line.poll(seconds) else None
    except EOFError:
        return None


def killed(context, where, kind, limit, generator):
    """Let a worker live for a while, kill it, and give back all that it told."""
    process, line = start(context, work, where, kind, limit)
    told = [heard(line, PATIENCE)]
    try:
        if kind == KINDS[0]:
            told += listened(line, generator.uniform(0.0, LONGEST_LIFE))
        else:
            stage = str(generator.choice(STAGES)) if kind == KINDS[1] else "failed"
            told += listened_for(line, stage, int(generator.integers(1, 4)))
            told += listened(line, generator.exponential(SHORT))
    finally:
        process.kill()
        process.join()
    while (last := heard(line, 0.0)) is not None:
        told.append(last)
    line.close()
    told = [each for each in told if each is not None]
    if process.exitcode != -signal.SIGKILL:
        told.append(Told("failed", -1, f"the worker ended by itself, with {process.exitcode}"))
    return told


def listened(line, seconds):
    """Everything that is told from now on for so long."""
    told, until = [], seconds + time.monotonic()
    while (left := until - time.monotonic()) > 0.0:
        told.append(heard(line, left))
    return told


def listened_for(line, stage, times):
    """Everything that is told until a stage was reached so many times, or for `PATIENCE`."""
    told, until = [], PATIENCE + time.monotonic()
    while times and (each := heard(line, until - time.monotonic())) is not None:
        told.append(each)
        times -= each.stage == stage
    return told


def judged(told, kind, seen, before):
    """What is wrong after a kill.

    Args:
        told: by the worker.
        kind: of the worker.
        seen: by the fresh process.
        before: number of the publication in service before the worker.
    """
    faults = list(seen.faults)
    done = max([before, *(each.number for each in told if each.stage == "done")])
    begun = max([before, *(each.number for each in told if each.stage == "begun")])
    if not done <= seen.number <= begun:
        faults.append(f"publication {seen.number} serves; {done} was done, {begun} was begun")
    if not told:
        faults.append("the worker never began")
    refused = {each.text for each in told if each.stage == "failed"}
    faults += [f"refused with {text!r}" for text in refused if not text.endswith(FULL)]
    if kind == KINDS[2] and not refused:
        faults.append("the disk was never full")
    return faults


def run(kills, folder, seed=0):
    """Kill so many workers, look after each, and count.

    Returns:
        How often what happened, and every fault.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["belief.refit", "killed_publications"])
    generator = np.random.default_rng(seed)
    counts, faults, serving = collections.Counter(), [], -1
    for kill in range(kills):
        where = str(Path(folder) / f"{kill // ROUND}.db")
        if kill % ROUND == 0:
            serving = -1
        kind = KINDS[kill % len(KINDS)]
        limit = ("pages", "file size")[kill % 2] if kind == KINDS[2] else ""
        told = killed(context, where, kind, limit, generator)
        process, line = start(context, look, where)
        seen = heard(line, PATIENCE) or Seen(-1, ["the store cannot be looked at"])
        process.join()
        line.close()
        faults += [
            f"kill {kill + 1}, {kind}: {fault}" for fault in judged(told, kind, seen, serving)
        ]
        counts.update(happened(told, kind, seen))
        serving = seen.number
    return counts, faults


def happened(told, kind, seen):
    """What a kill adds to the counts."""
    yield f"killed: {kind}"
    stages = [each for each in told if each.stage not in ("ready", "failed")]
    last = stages[-1] if stages else Told("ready", -1)
    kept = last.stage == "commit" and seen.number == last.number
    yield f"last seen at: {last.stage}{', and it was kept' if kept else ''}"
    for each in told:
        if each.stage == "done":
            yield "publications done"
        if each.stage == "failed":
            yield f"publications refused: {each.text.rpartition(': ')[2]}"


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=200)
    kills = parser.parse_args(argv).kills
    with tempfile.TemporaryDirectory() as folder:
        counts, faults = run(kills, folder)
    for name in sorted(counts):
        print(f"{counts[name]:>6} {name}")
    for fault in faults:
        print(fault)
    print(f"{kills} kills, {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
