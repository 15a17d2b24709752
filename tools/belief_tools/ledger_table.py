"""The ledger in a terminal and in files: its entries, one of them whole, and how all came out."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from belief.errors import BeliefError, UsageError
from belief.ledger import Recorded, forecast_of
from belief_tools.forecast_tool import cents
from belief_tools.recording import FAILED
from belief_tools.terminal import one_line

if TYPE_CHECKING:
    import pyarrow

SHOWN_QUANTILES: Final = {"q05": 0.05, "q25": 0.25, "q50": 0.5, "q75": 0.75, "q95": 0.95}
FORMATS: Final = (".csv", ".parquet")
LONGEST_QUESTION: Final = 60


def print_entries(recorded: Sequence[Recorded], symbol: str | None) -> None:
    """Print entries, one a line.

    Args:
        recorded: the entries.
        symbol: the only one that was asked for, or None.
    """
    if not recorded:
        which = "the ledger is empty" if symbol is None else f"the ledger has no entry of {symbol}"
        print(f"{which}; belief refit, ask and now write to it")
        return
    print("made at (UTC)        name          kind      symbol  target      said")
    for each in recorded:
        entry = each.entry
        target = "" if entry.target is None else str(entry.target)
        print(
            f"{entry.made_at[:19]}  {entry.name:<12}  {entry.kind:<8}  {each.symbol:<6}  "
            f"{target:<10}  {_said(each)}"
        )


def _said(recorded: Recorded) -> str:
    entry = recorded.entry
    if entry.kind == "answer":
        question = one_line(str(entry.body["question"]), longest=LONGEST_QUESTION)
        return f"{question} [error]" if failed(entry.body) else question
    came = "" if recorded.score is None else f"; came {cents(recorded.score['close'])}"
    if entry.kind == "view":
        own = entry.body["prediction"]
        words = f"{cents(own['price'])} ({cents(own['low'])} to {cents(own['high'])})"
        return f"{entry.model}: {words}{came}{'' if entry.live else ' [hindsight]'}"
    forecast = forecast_of(recorded)
    low, high = forecast.interval(0.9)
    words = f"{cents(forecast.median)} ({cents(low)} to {cents(high)})"
    return f"{entry.model}: {words}{came}{'' if entry.live else ' [hindsight]'}"


def failed(body: Mapping[str, Any]) -> bool:
    """Whether the body of an answer is that of a question which ended in an error."""
    return bool(body.get("stop_reason") == FAILED)


def show(recorded: Recorded, forecasts: Sequence[Recorded]) -> None:
    """Print an entry whole: question, tool call, result, answer, score.

    Args:
        recorded: the entry.
        forecasts: those an answer rests on.
    """
    print(title_of(recorded))
    for label, said in facts(recorded):
        print(f"{label:<12} {one_line(said)}")
    for each in forecasts:
        print()
        show(each, [])


def title_of(recorded: Recorded) -> str:
    """Name an entry, its place and its moment.

    Args:
        recorded: the entry.
    """
    entry = recorded.entry
    when = "" if entry.live else ", in hindsight"
    return (
        f"{entry.kind} {entry.name} of {recorded.symbol}, number {recorded.number}, "
        f"made at {entry.made_at}{when}"
    )


def facts(recorded: Recorded) -> Iterator[tuple[str, str]]:
    """All that an entry says, and how it came out: each with what it is.

    Args:
        recorded: the entry.
    """
    entry = recorded.entry
    if entry.kind == "answer":
        yield from _facts_of_answer(entry.body)
    elif entry.kind == "view":
        yield from _facts_of_view(entry.body)
    else:
        yield from _facts_of_forecast(recorded)
    yield from _facts_of_score(recorded)


def _facts_of_answer(body: Any) -> Iterator[tuple[str, str]]:
    if "conversation" in body:
        yield "conversation", f"{body['conversation']}, turn {body['turn']}"
    yield "question", str(body["question"])
    for call in body["tool_calls"]:
        outcome = call.get("error") or call["result"]["summary"]
        arguments = (
            ", ".join(f"{name}={value}" for name, value in call["arguments"].items())
            if isinstance(call.get("arguments"), dict)
            else str(call.get("arguments"))
        )
        yield "tool call", f"{call['name']}({one_line(arguments)}), by {call['by']}"
        yield "result", str(outcome)
    yield "error" if failed(body) else "answer", str(body["text"])
    rejected = body["checks"]["rejected"]
    if rejected:
        yield "rejected", str(rejected)
    if body["prediction"]:
        own = body["prediction"]
        yield (
            "its own view",
            f"{cents(own['price'])}, {cents(own['low'])} to {cents(own['high'])}, "
            f"up with {own['prob_up']:.0%} ({body['model']})",
        )


def _facts_of_view(body: Any) -> Iterator[tuple[str, str]]:
    own = body["prediction"]
    yield "about", f"forecast {body['forecast']}"
    yield (
        "view",
        f"median {cents(own['price'])}, 90 % {cents(own['low'])} to {cents(own['high'])}, "
        f"confidence {body['confidence']:.0%}",
    )
    if body["note"]:
        yield "note", str(body["note"])


def _facts_of_forecast(recorded: Recorded) -> Iterator[tuple[str, str]]:
    entry, forecast = recorded.entry, forecast_of(recorded)
    half, wide = forecast.interval(0.5), forecast.interval(0.9)
    yield "model", f"{entry.model}, fit {str(entry.body['fingerprint'])[:12]}"
    yield "from", f"{entry.origin}, last close {cents(forecast.last_close)}"
    yield "to", f"{entry.target}, {entry.horizon} sessions ahead"
    yield (
        "forecast",
        f"median {cents(forecast.median)}, 50 % {cents(half[0])} to {cents(half[1])}, "
        f"90 % {cents(wide[0])} to {cents(wide[1])}, up with {forecast.prob_up:.0%}",
    )
    weights = entry.body["memory_weights"]
    if weights:
        yield "memories", ", ".join(f"{weight:.0%}" for weight in weights)


def _facts_of_score(recorded: Recorded) -> Iterator[tuple[str, str]]:
    score = recorded.score
    if score is None:
        if recorded.entry.target is not None:
            yield "score", f"none yet: {recorded.entry.target} has not been scored"
        return
    inside = "inside" if score["covered_90"] else "outside"
    yield "came", f"{cents(score['close'])}, {inside} the 90 % interval"
    named = ("log_score", "crps", "pit", "absolute_error", "interval_score", "brier")
    figures = [f"{name} {score[name]:.4g}" for name in named if score[name] is not None]
    yield "score", ", ".join(figures)


def print_scores(symbol: str, scored: Sequence[Recorded], closeless: Sequence[Recorded]) -> None:
    """Print what was scored now, and what could not be."""
    print(f"{symbol}: {len(scored)} scored")
    for each in closeless:
        print(f"  {each.entry.name}: no close on {each.entry.target}, or made from other prices")


def print_standing(recorded: Sequence[Recorded]) -> None:
    """Print how the live entries came out, by model and horizon; answers beside forecasts."""
    live = [each for each in recorded if each.score is not None and each.entry.live]
    if not live:
        print(
            "no live forecast has been scored yet: those made before their target's session count, "
            "not what was said in hindsight"
        )
        return
    print(
        f"\n{'said by':<24}{'sessions':>9}{'scored':>8}{'log score':>11}{'|error| $':>11}"
        f"{'in 90 %':>9}"
    )
    for (who, horizon), group in groupby(sorted(live, key=_place), key=_place):
        rows = [each.score or {} for each in group]
        print(
            f"{one_line(who, longest=23):<24}{horizon:>9}{len(rows):>8}"
            f"{_mean(rows, 'log_score'):>11}{_mean(rows, 'absolute_error', 2):>11}"
            f"{_share(rows):>9}"
        )


def _place(recorded: Recorded) -> tuple[str, int]:
    return str(recorded.entry.model), int(recorded.entry.horizon or 0)


def _mean(rows: Sequence[Any], name: str, decimals: int = 4) -> str:
    values = [row[name] for row in rows if row[name] is not None]
    return f"{np.mean(values):.{decimals}f}" if values else "-"


def _share(rows: Sequence[Any]) -> str:
    return f"{np.mean([bool(row['covered_90']) for row in rows]):.1%}"


def check_export(path: Path) -> None:
    """Refuse a file whose format is not known, before anything is read.

    Raises:
        UsageError: the name ends in neither .csv nor .parquet.
    """
    if path.suffix.lower() not in FORMATS:
        raise UsageError(
            f"{path.name} is no file to export to; end its name in {' or '.join(FORMATS)}"
        )


def export(recorded: Sequence[Recorded], path: Path) -> None:
    """Write entries to a CSV or Parquet file, one row each; the whole forecast stays in the ledger.

    Raises:
        BeliefError: the file cannot be written.
    """
    from pyarrow import csv, parquet

    table = _table(recorded)
    try:
        if path.suffix.lower() == ".csv":
            csv.write_csv(table, path)
        else:
            parquet.write_table(table, path)
    except OSError as error:
        raise BeliefError(f"cannot write {path}: {error.strerror or error}") from None


def _table(recorded: Sequence[Recorded]) -> "pyarrow.Table":
    import pyarrow

    fields = _schema()
    rows = [flat(each) for each in recorded]
    return pyarrow.Table.from_pylist(rows, schema=fields)


def _schema() -> "pyarrow.Schema":
    import pyarrow

    text, day, number = pyarrow.string(), pyarrow.date32(), pyarrow.float64()
    return pyarrow.schema(
        [
            ("symbol", text), ("number", pyarrow.int64()), ("kind", text), ("name", text),
            ("made_at", text), ("live", pyarrow.bool_()), ("model", text),
            ("origin", day), ("target", day), ("horizon", pyarrow.int32()),
            ("last_close", number),
            *((name, number) for name in SHOWN_QUANTILES),
            ("prob_up", number), ("question", text), ("text", text), ("own_price", number),
            ("stop_reason", text), ("conversation", text), ("turn", pyarrow.int32()),
            ("close", number), ("log_return", number), ("log_score", number), ("crps", number),
            ("pit", number), ("absolute_error", number), ("interval_score", number),
            ("brier", number),
            *((f"covered_{level}", pyarrow.bool_()) for level in (50, 80, 90, 95)),
        ]
    )  # fmt: skip


def flat(recorded: Recorded) -> dict[str, Any]:
    """An entry and its score in one row: quantiles of a forecast, question and text of an answer.

    Args:
        recorded: the entry.
    """
    entry = recorded.entry
    row: dict[str, Any] = {
        "symbol": recorded.symbol,
        "number": recorded.number,
        "kind": entry.kind,
        "name": entry.name,
        "made_at": entry.made_at,
        "live": entry.live,
        "model": entry.model,
        "origin": None if entry.origin is None else entry.origin.item(),
        "target": None if entry.target is None else entry.target.item(),
        "horizon": entry.horizon,
        "last_close": entry.body.get("last_close"),
    }
    if entry.kind == "forecast":
        forecast = forecast_of(recorded)
        row |= {name: forecast.quantile(share) for name, share in SHOWN_QUANTILES.items()}
        row["prob_up"] = forecast.prob_up
    else:
        own = entry.body["prediction"] or {}
        row |= {"question": entry.body.get("question"), "text": _words(entry.body)}
        row |= {"own_price": own.get("price"), "prob_up": own.get("prob_up")}
        row |= {name: entry.body.get(name) for name in ("stop_reason", "conversation", "turn")}
    return {**row, **(recorded.score or {})}


def _words(body: Mapping[str, Any]) -> str | None:
    """The text of an answer, or the note of a view."""
    found = body.get("text", body.get("note"))
    return None if found is None else str(found)
