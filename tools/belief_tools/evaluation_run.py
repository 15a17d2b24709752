"""`belief evaluate` behind its options: check, estimate, ask with a progress bar, write, report."""

import json
import math
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import numpy as np

from belief.errors import UsageError
from belief.fitted_model import code_fingerprint
from belief.sessions import parse_day
from belief_tools import recall
from belief_tools.arms import ARMS, Arm
from belief_tools.backtest_table import names, whole_numbers
from belief_tools.contestants import Contestant
from belief_tools.evaluate import MODES, Plan, Progress, Purse, Row, evaluate, taped
from belief_tools.serving import stored_or_named
from belief_tools.tape import Tape
from belief_tools.terminal import one_line, say
from belief_tools.trials import origins_between

TAPE, ROWS, ABOUT, RECALL = "tape.jsonl", "rows.jsonl", "about.json", "recall.jsonl"
N_RECALLED: Final = 12  # closes that a model is asked for outright
# Of an exchange, about: for the estimate alone.
TOKENS_OF_A_PROMPT: Final = 450
REQUESTS: Final[Mapping[str, int]] = {"context": 3, "tool": 5}


@dataclass(frozen=True)
class Asked:
    """What was asked for on the command line."""

    symbol: str
    first: str
    last: str
    pairs: int
    horizons: str
    arms: str
    modes: str
    contestants: tuple[Contestant, ...]
    most_tokens: int
    jobs: int
    per_minute: float | None
    budget: float | None

    def plan(self) -> Plan:
        """Check it all.

        Raises:
            UsageError: something makes no sense.
        """
        horizons = whole_numbers("--horizons", self.horizons)
        self._check_numbers()
        prices = stored_or_named(self.symbol, None)
        count = -(-self.pairs // len(horizons))
        first, last = parse_day(self.first), parse_day(self.last)
        return Plan(
            prices=prices,
            origins=origins_between(prices, first, last, max(horizons), count),
            horizons=horizons,
            contestants=self.contestants,
            arms=cast("tuple[Arm, ...]", _known("--arms", self.arms, ARMS)),
            modes=_known("--modes", self.modes, MODES),
            most_tokens=self.most_tokens,
            jobs=self.jobs,
            per_minute=self.per_minute,
            budget=self.budget,
        )

    def _check_numbers(self) -> None:
        counts = {"--pairs": self.pairs, "--jobs": self.jobs, "--most-tokens": self.most_tokens}
        for option, count in counts.items():
            if count < 1:
                raise UsageError(f"{option} is {count}; it must be at least 1")
        for option, limit in (("--per-minute", self.per_minute), ("--budget", self.budget)):
            if limit is not None and not 0.0 < limit < math.inf:  # so that NaN is refused too
                raise UsageError(f"{option} is {limit:g}; it must be a number above 0")


def _known(option: str, text: str, known: Sequence[str]) -> tuple[str, ...]:
    asked = names(text)
    unknown = [name for name in asked if name not in known]
    if unknown or not asked:
        raise UsageError(
            f"{option} {one_line(text, longest=60)!r}: choose of {', '.join(known)}, with commas"
        )
    return tuple(name for name in known if name in asked)


def estimate(asked: Asked) -> Iterator[str]:
    """Say what would be asked, and about what it costs.

    Args:
        asked: on the command line.

    Yields:
        Lines.
    """
    plan = asked.plan()
    yield (
        f"{len(plan.origins)} origins from {plan.origins[0]} to {plan.origins[-1]}, horizons "
        f"{', '.join(map(str, plan.horizons))}: {plan.n_questions:,} questions to "
        f"{len(plan.contestants)} model(s)"
    )
    arms = [REQUESTS.get(arm, 1) for arm in plan.arms]
    for each in plan.contestants:
        own = plan.n_questions_to(each) * sum(arms) // len(arms) + N_RECALLED
        dollars = each.cost(own * TOKENS_OF_A_PROMPT, own * plan.most_tokens)
        cost = "its prices are not known" if dollars is None else f"at most about ${dollars:.2f}"
        yield f"{each.name}: at most about {own:,} requests; {cost}"


def run(asked: Asked, out: Path, replay: Path | None, environ: Mapping[str, str]) -> None:
    """Ask, and write the rows.

    Args:
        asked: on the command line.
        out: folder for the tape and the rows.
        replay: a tape to take every reply from.
        environ: holds the keys.

    Raises:
        UsageError: something makes no sense, the budget is spent, or nothing is on the tape that
            alone may be asked.
        NoModel: a model cannot be had at all.
    """
    plan = asked.plan()
    tape = Tape(out / TAPE) if replay is None else Tape(replay, only=True)
    purse = Purse(plan.budget)
    with _progress(plan) as progress:
        rows = evaluate(plan, tape, environ, progress, purse)
    recalled = list(_recalled(plan, tape, environ, purse))
    if tape.only and tape.n_missing:
        _tell_of_missing(tape)
    _write(out / ROWS, rows)
    _write(out / RECALL, recalled)
    (out / ABOUT).write_text(json.dumps(_about(plan), indent=2) + "\n", encoding="utf-8")
    if not tape.only and (n_failed := sum(row["failed"] for row in rows)):
        say(f"to {n_failed:,} questions no reply came; the same command asks them again")
    say(f"{len(rows):,} rows are in {one_line(str(out / ROWS))}; belief evaluate report shows them")


def _tell_of_missing(tape: Tape) -> None:
    """Say how much was not on the tape that alone was asked.

    Raises:
        UsageError: nothing was.
    """
    named = one_line(str(tape.path))
    if not tape.n_found:
        raise UsageError(
            f"nothing that was to be asked is on the tape {named}; use the options with which it "
            f"was recorded"
        )
    say(
        f"{tape.n_missing:,} of {tape.n_found + tape.n_missing:,} exchanges are not on the tape "
        f"{named}; their answers count as failed. Other options, other prices or another release "
        f"ask otherwise"
    )


def write_report(folder: Path, page: Path) -> str:
    """Write what came of an evaluation as a page, and as a table in Markdown beside it.

    Args:
        folder: that an evaluation wrote.
        page: file for the page; the table has its name with .md.

    Returns:
        The table.

    Raises:
        UsageError: there is no evaluation in the folder, or a file cannot be written.
    """
    from belief_tools.evaluation_report import html, markdown
    from belief_tools.evaluation_scores import score

    rows, recalled, about = read(folder)
    try:
        scored = score(rows, probe=recalled)
        table = markdown(scored, about)
        drawn = html(scored, about)
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError) as error:
        raise _unfinished(folder, error) from None
    try:
        page.write_text(drawn, encoding="utf-8")
        page.with_suffix(".md").write_text(table, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{page} cannot be written: {error.strerror}") from None
    return table


def read(folder: Path) -> tuple[list[Row], list[Row], dict[str, Any]]:
    """Read what an evaluation wrote.

    Args:
        folder: that it wrote.

    Returns:
        Its rows, those of the recall probe, and how it was made.

    Raises:
        UsageError: there is no evaluation in the folder.
    """
    try:
        rows, recalled = (_rows(folder / name) for name in (ROWS, RECALL))
        about = dict(json.loads((folder / ABOUT).read_bytes()))
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise _unfinished(folder, error) from None
    return rows, recalled, about


def _rows(path: Path) -> list[Row]:
    # as bytes, which break at the ends of lines alone: a model may write other breaks
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def _unfinished(folder: Path, error: Exception) -> UsageError:
    reason = getattr(error, "strerror", None) or one_line(str(error), longest=120)
    named = one_line(str(folder))
    return UsageError(
        f"{named} holds no finished evaluation ({reason}); belief evaluate writes one"
    )


def _recalled(
    plan: Plan, tape: Tape, environ: Mapping[str, str], purse: Purse
) -> Iterator[dict[str, Any]]:
    places = np.linspace(0, len(plan.origins) - 1, min(N_RECALLED, len(plan.origins))).round()
    for each in plan.contestants:
        model = taped(each, plan, tape, environ, purse)()
        for day in plan.origins[places.astype(int)]:
            yield recall.probe(each.name, model, plan.prices, day)


def _about(plan: Plan) -> dict[str, Any]:
    return {
        "command": one_line("belief " + " ".join(map(_without_secrets, sys.argv[1:]))),
        "symbol": plan.prices.symbol,
        "source": plan.prices.source,
        "first": str(plan.origins[0]),
        "last": str(plan.origins[-1]),
        "n_origins": len(plan.origins),
        "horizons": list(plan.horizons),
        "arms": list(plan.arms),
        "modes": list(plan.modes),
        "most_tokens": plan.most_tokens,
        "models": [
            {"name": each.name, "cutoff": None if each.cutoff is None else str(each.cutoff)}
            for each in plan.contestants
        ],
        "code_fingerprint": code_fingerprint(),
    }


def _without_secrets(argument: str) -> str:
    """An argument of the command line without what an address may hold beside the server."""
    return re.sub(r"(url=\w*://)(?:[^,/@]*@)?([^,?#]*)[^,]*", r"\1\2", argument)


def _write(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        path.write_text("".join(lines), encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from None


@contextmanager
def _progress(plan: Plan) -> Iterator[Progress]:
    """Show how many questions are answered: a bar on a terminal, else a line now and then."""
    if not sys.stderr.isatty():
        told = [0]

        def tell(done: int, total: int) -> None:
            if 10 * done // max(total, 1) > told[0]:
                told[0] = 10 * done // total
                say(f"{done:,} of {total:,} questions answered")

        yield tell
        return
    from rich import progress
    from rich.console import Console

    columns = (
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TimeElapsedColumn(),
        progress.TextColumn("left"),
        progress.TimeRemainingColumn(),
    )
    with progress.Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("questions", total=plan.n_questions)
        yield lambda done, total: bar.update(task, completed=done, total=total)
