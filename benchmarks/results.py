"""Write the results page: every model on NVDA, the ablation, and other symbols, walk-forward.

Each step keeps what it has finished in the cache folder, so an interrupted run goes on from there;
a step's table is written to build/results/, from which the page is drawn. Settings were chosen on
sessions before 2013; nothing here chooses anything.

    python benchmarks/results.py            everything, about 90 minutes on two cores
    python benchmarks/results.py STEP ...   only these: nvda, long, events, ablation, symbols, page
"""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import ablation
import numpy as np
import pyarrow.parquet
import symbols

from belief import models
from belief.backtest import Plan, walk_forward
from belief.backtest_summary import columns_of, paired, summarise
from belief.scores import hac_lag, mean_difference
from belief.sources import load_prices

ROOT = Path(__file__).parent.parent
KEPT = ROOT / "build" / "results"
PAGE = ROOT / "docs" / "results.md"
FIRST, LAST = np.datetime64("2013-01-02"), np.datetime64("2025-02-13")
HORIZONS, LONG_HORIZONS = (1, 5, 21, 63), (126, 252)
LONG_MODELS = ("belief", "gjr_t", "garch_t", "random_walk")
SYMBOL_MODELS = ("belief", "gjr_t", "garch_t")
SYMBOL_HORIZONS = (1, 5, 21)
EVENTLESS = {"grid_static": "no_events", "belief": "belief_no_events"}
FEWEST_WINDOWS = 20


def walk_nvda(horizons, names):
    plan = Plan(first=FIRST, last=LAST, horizons=horizons, models=names, refit_every=21, n_jobs=2)
    return walk_forward(load_prices("NVDA"), plan, progress=say)


def say(done, total):
    print(f"\r{done:,} of {total:,} origins", end="", file=sys.stderr, flush=True)


def keep_nvda():
    pyarrow.parquet.write_table(walk_nvda(HORIZONS, models.MODELS), KEPT / "nvda.parquet")


def keep_long():
    pyarrow.parquet.write_table(walk_nvda(LONG_HORIZONS, LONG_MODELS), KEPT / "long.parquet")


def keep_ablation():
    (KEPT / "ablation.json").write_text(json.dumps(ablation.rows("after")))


def keep_events():
    """The grid and the mixture without announcement days, refitted as often as with them."""
    for name, variant in EVENTLESS.items():
        walked = ablation.walk(variant, *ablation.PERIODS["after"], horizons=(1,), refit_every=21)
        scores = {"log_score": walked[1]["log_score"].tolist()}
        (KEPT / f"{variant}.json").write_text(json.dumps(scores))
        print(f"{name} without events: {np.mean(scores['log_score']):.4f}")


def keep_symbols():
    for name, (prices, first) in symbols.series().items():
        plan = Plan(first=first, horizons=SYMBOL_HORIZONS, models=SYMBOL_MODELS, n_jobs=2)
        table = walk_forward(prices, plan, progress=say)
        pyarrow.parquet.write_table(table, KEPT / f"symbol-{name}.parquet")


STEPS: dict[str, Callable[[], None]] = {
    "nvda": keep_nvda,
    "long": keep_long,
    "events": keep_events,
    "ablation": keep_ablation,
    "symbols": keep_symbols,
}


def summary_lines(table, reference="garch_t"):
    """A Markdown table for each horizon, best log score first."""
    rows = summarise(table, reference)
    for horizon in sorted({row.horizon for row in rows}):
        own = sorted((row for row in rows if row.horizon == horizon), key=lambda r: -r.log_score)
        n, windows = own[0].n, own[0].n_windows
        sessions = "1 session" if horizon == 1 else f"{horizon} sessions"
        yield f"\n**{sessions} ahead** ({n:,} origins, {windows:,} windows that do not overlap)\n"
        yield (
            "| model | log score | gain over GARCH-t | t | CRPS ratio | t | 50 % | 80 % | 90 % |"
            + (" 95 % | PIT distance |")
        )
        yield "|---|---|---|---|---|---|---|---|---|---|---|"
        yield from (summary_line(row) for row in own)


def summary_line(row):
    doubtful = "?" if row.n_windows < FEWEST_WINDOWS else ""
    compared = (
        ("", "", "", "")
        if row.model == row.reference
        else (
            f"{row.gain:+.4f}",
            number(row.t_value, doubtful),
            f"{row.crps_ratio:.4f}",
            number(row.crps_t_value, doubtful),
        )
    )
    hits = (
        f"{getattr(row, f'coverage_{level}'):.1%} ±{getattr(row, f'coverage_{level}_se') or 0:.1%}"
        for level in (50, 80, 90, 95)
    )
    cells = (f"`{row.model}`", f"{row.log_score:.4f}", *compared, *hits, f"{row.pit_distance:.3f}")
    return f"| {' | '.join(cells)} |"


def number(value, mark):
    return "" if value is None or np.isnan(value) else f"{value:.2f}{mark}"


def duel_lines(table):
    """Gains of the grid over the strongest peers at one session, each with its t-value."""
    yield "\n| one session ahead | gain | t |"
    yield "|---|---|---|"
    for own, other in (
        ("belief", "gjr_t"),
        ("grid_static", "gjr_t"),
        ("belief", "grid_static"),
        ("belief", "hmmlearn_3"),
        ("grid_static", "hmmlearn_3"),
        ("belief", "few_state_memory"),
    ):
        pair = paired(columns_of(table, own, 1), columns_of(table, other, 1))
        gain = pair[0]["log_score"] - pair[1]["log_score"]
        found = mean_difference(gain, hac_lag(len(gain), horizon=1))
        yield f"| `{own}` over `{other}` | {found.mean:+.4f} | {found.t_value:.2f} |"


def eventless_lines(table):
    """The grid and the mixture without announcement days, against peers that never know them."""
    yield "\n| one session ahead | log score | over `gjr_t` | t | over `hmmlearn_3` | t |"
    yield "|---|---|---|---|---|---|"
    for name, variant in EVENTLESS.items():
        own = np.array(json.loads((KEPT / f"{variant}.json").read_text())["log_score"])
        lag = hac_lag(len(own), horizon=1)
        gains = [
            mean_difference(own - columns_of(table, peer, 1)["log_score"], lag)
            for peer in ("gjr_t", "hmmlearn_3")
        ]
        cells = " | ".join(f"{gain.mean:+.4f} | {gain.t_value:.2f}" for gain in gains)
        yield f"| `{name}` | {own.mean():.4f} | {cells} |"


def dollar_lines(table):
    """Errors in dollars, relative to GARCH-t."""
    yield "\n| | absolute error of the median | 90 % interval score |"
    yield "|---|---|---|"
    for row in summarise(table, "garch_t"):
        if row.model in ("belief", "gjr_t", "random_walk"):
            yield (
                f"| `{row.model}`, {row.horizon} | {row.absolute_error_ratio:.4f} "
                f"| {row.interval_score_ratio:.4f} |"
            )


def ablation_lines(rows):
    yield "\n| | sessions ahead | log score | against the full model | t | CRPS ratio | t |"
    yield "|---|---|---|---|---|---|---|"
    for variant, horizon, score, gain, t, ratio, crps_t in rows:
        told = (
            ("", "", "", "")
            if variant == "full"
            else (f"{gain:+.4f}", number(t, ""), f"{ratio:.4f}", number(crps_t, ""))
        )
        yield f"| {variant.replace('_', ' ')} | {horizon} | {score:.4f} | {' | '.join(told)} |"


def page():
    """The page, from the tables kept."""
    table = pyarrow.parquet.read_table(KEPT / "nvda.parquet")
    parts = (Path(__file__).parent / "results.template.md").read_text("utf-8")
    filled = {
        "NVDA": summary_lines(table),
        "DUELS": duel_lines(table),
        "EVENTLESS": eventless_lines(table),
        "DOLLARS": dollar_lines(table),
        "LONG": long_lines(),
        "ABLATION": ablation_lines(json.loads((KEPT / "ablation.json").read_text())),
        "SYMBOLS": symbol_lines(),
    }
    for name, lines in filled.items():
        parts = parts.replace(f"<!-- {name} -->", "\n" + "\n".join(lines).strip())
    return parts


def long_lines():
    kept = KEPT / "long.parquet"
    if not kept.exists():
        return ["Not run for this page: `python benchmarks/results.py long page` adds it."]
    return summary_lines(pyarrow.parquet.read_table(kept))


def symbol_lines():
    for path in sorted(KEPT.glob("symbol-*.parquet")):
        table = pyarrow.parquet.read_table(path)
        first, last = (getattr(np, f)(table["origin"].to_numpy()) for f in ("min", "max"))
        yield f"\n### {path.stem.removeprefix('symbol-')}, {first} to {last}"
        yield from summary_lines(table)


def main(argv=None):
    wanted = (sys.argv[1:] if argv is None else argv) or [*STEPS, "page"]
    unknown = set(wanted) - {*STEPS, "page"}
    if unknown:
        sys.exit(f"there is no step {unknown.pop()!r}; choose from {', '.join(STEPS)}, page")
    KEPT.mkdir(parents=True, exist_ok=True)
    for name in wanted:
        if name in STEPS:
            STEPS[name]()
    if "page" in wanted:
        PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
