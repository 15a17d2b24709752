"""The evaluation that is kept in the repository: it plays back, and the pages say what came of it.

All of it plays back from its tape.jsonl.gz with
``belief evaluate --pairs 120 --most-tokens 120 --replay TAPE``, in about five minutes;
here two of its forty origins do.
"""

import gzip
import json
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from belief.sources import load_prices
from belief_tools.contestants import contestant
from belief_tools.evaluate import Plan, evaluate
from belief_tools.evaluation_headline import headline
from belief_tools.evaluation_report import markdown
from belief_tools.evaluation_run import read
from belief_tools.evaluation_scores import score
from belief_tools.founding import ask_founding
from belief_tools.founding import markdown as founding_table
from belief_tools.tape import Exchange, Tape
from belief_tools.trials import origins_between

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "benchmarks" / "does_the_tool_help"
MOST_BYTES = 5_000_000
PLAYED_BACK = (0, 27)  # of the origins


def words(row):
    return {name: value for name, value in row.items() if isinstance(value, str | bool | int)}


def figures(row):
    named = {name: row[name] for name in ("last_close", "actual", "seconds")}
    for of in ("own", "shown", "random_walk"):
        named |= {f"{of} {name}": value for name, value in (row[of] or {}).items()}
    return named


@pytest.fixture(scope="module")
def kept():
    return read(FOLDER)


@pytest.fixture(scope="module")
def plan(kept):
    about = kept[2]
    prices = load_prices(about["symbol"])
    first, last = np.datetime64("2016-01-04"), np.datetime64("2024-12-31")
    horizons = tuple(about["horizons"])
    return Plan(
        prices=prices,
        origins=origins_between(prices, first, last, max(horizons), about["n_origins"]),
        horizons=horizons,
        contestants=(contestant("local", {}),),
        most_tokens=about["most_tokens"],
    )


def test_it_has_all_arms_in_both_modes_on_120_pairs(kept):
    rows, recalled, about = kept
    assert about["n_origins"] * len(about["horizons"]) >= 120
    assert (about["horizons"], about["most_tokens"]) == ([5, 21, 63], 120)
    groups = {(row["mode"], row["arm"]) for row in rows if row["model"]}
    assert len(groups) == 10 and len(rows) == (10 + 3) * 120 and len(recalled) == 12
    assert about["first"] >= "2016-01-01" and about["last"] <= "2024-12-31"


def test_its_tape_is_small_and_every_exchange_got_a_reply(kept):
    assert len((FOLDER / "tape.jsonl.gz").read_bytes()) < MOST_BYTES
    lines = gzip.decompress((FOLDER / "tape.jsonl.gz").read_bytes()).splitlines()
    exchanges = [json.loads(line) for line in lines]
    assert len(exchanges) > 1000
    assert all(set(each) == {field.name for field in fields(Exchange)} for each in exchanges)
    assert [each["error"] for each in exchanges if each["reply"] is None] == []


def test_its_tape_plays_back(kept, plan):
    # to the last byte on the same computer; on another one fits may differ in their last digits
    tape = Tape(FOLDER / "tape.jsonl.gz")
    some = replace(plan, origins=plan.origins[list(PLAYED_BACK)])
    played = evaluate(some, tape, {}, lambda *_: None)
    days = {str(day) for day in some.origins}
    expected = [row for row in kept[0] if row["origin"] in days]
    assert tape.n_missing == 0 and tape.n_found > 0
    assert list(map(words, played)) == list(map(words, expected))
    assert list(map(figures, played)) == [pytest.approx(figures(row), rel=1e-6) for row in expected]


def test_the_pages_say_what_came_of_it(kept):
    rows, recalled, about = kept
    scored = score(rows, probe=recalled)
    page = (ROOT / "docs" / "does-the-tool-help.md").read_text("utf-8")
    assert page == markdown(scored, about)
    readme = " ".join((ROOT / "README.md").read_text("utf-8").split())
    for said in headline(scored):
        assert said.claim in readme
    for mode in ("plain", "masked"):
        for arm in ("tool", "price", "band"):
            [found] = [
                each
                for each in scored.summaries
                if (each.mode, each.arm, each.horizon) == (mode, arm, None)
            ]
            assert f"{100 * found.own.error:.1f} %" in readme


def test_the_founding_table_is_what_its_tape_gives():
    prices = load_prices("NVDA")
    tape = Tape(FOLDER / "founding.jsonl.gz")
    local = (contestant("local", {}),)
    rows = ask_founding(prices, local, tape, {}, most_tokens=300, say=lambda _: None)
    assert tape.n_missing == 0
    table = founding_table(rows, prices).partition("\n\n")[2].rstrip()
    assert table in (ROOT / "docs" / "founding-case.md").read_text("utf-8")
