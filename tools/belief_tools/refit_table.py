"""What a refit did, in words and as JSON."""

from typing import Any

from belief.posterior import Belief
from belief.refit import Change, Refit
from belief_tools.audit_table import plain
from belief_tools.belief_table import last_session_sentence
from belief_tools.terminal import one_line

MOST_SHOWN = 20  # findings
SHIFT_SHOWN = 0.005  # a regime's probability that moved by less is not named


def print_refit(symbol: str, done: Refit) -> None:
    """Print how a refit ended, what the audit found, and what changed in the belief and why."""
    print(f"{symbol}: {headline(done)}")
    told = [each for each in done.audit.findings if each.outcome != "noted"]
    for finding in told[:MOST_SHOWN]:
        where = "" if finding.session is None else f" at {finding.session}"
        found = f"{finding.outcome}: {finding.rule}{where}: {finding.value}; {finding.action}"
        print(f"  {one_line(found)}")
    if len(told) > MOST_SHOWN:
        print(f"  and {len(told) - MOST_SHOWN:,} more; belief data check {symbol} --json lists all")
    for check in done.checks:
        met = f"{'passed' if check.passed else 'FAILED'} {check.name}: {check.reason}"
        print(f"  {one_line(met)}")
    if done.change is not None:
        for line in change_in_words(done.change):
            print(f"  {line}")


def headline(done: Refit) -> str:
    """One line that says how a refit ended."""
    if done.status == "nothing new":
        return f"nothing new; the model in service knows the sessions through {done.as_of}"
    if done.status == "published":
        return f"published a model of the sessions through {done.as_of}"
    what = "the prices" if done.audit.refused else "the model"
    kept = (
        f"the last good prices, through {done.as_of}, and the last good model stay in service"
        if done.in_service
        else "nothing is in service"
    )
    return f"refused {what}: {kept}"


def change_in_words(change: Change) -> list[str]:
    """Say what a publication changed in the belief, and what did it."""
    now = change.now
    if change.before is None or change.carried is None:
        return [f"the first belief: volatility {now.volatility:.1%} a year, {_likeliest(now)}"]
    steps = [
        f"volatility {change.before.volatility:.1%} -> {change.carried.volatility:.1%} by "
        f"{_sessions(change.n_sessions)} -> {now.volatility:.1%} by the fit",
        *_shifts(change.before, now),
    ]
    if now.last_session is not None:
        steps += last_session_sentence(now.last_session).split("\n")
    return steps


def _sessions(count: int) -> str:
    return f"{count} new session" if count == 1 else f"{count} new sessions"


def _likeliest(held: Belief) -> str:
    regime = max(held.regimes, key=lambda each: each.probability)
    return f"{regime.name} with {regime.probability:.0%}"


def _shifts(before: Belief, now: Belief) -> list[str]:
    moved = [
        f"{new.name} {old.probability:.0%} -> {new.probability:.0%}"
        for old, new in zip(before.regimes, now.regimes, strict=True)
        if abs(new.probability - old.probability) >= SHIFT_SHOWN
    ]
    return ["regimes: " + ", ".join(moved)] if moved else []


def as_json(symbol: str, done: Refit) -> dict[str, Any]:
    """The same as plain values."""
    change = done.change
    return {
        "symbol": symbol,
        "status": done.status,
        "as_of": None if done.as_of is None else str(done.as_of),
        "reasons": list(done.reasons),
        "findings": plain(done.audit)["findings"],
        "checks": [check._asdict() for check in done.checks],
        "change": None
        if change is None
        else {
            "n_sessions": change.n_sessions,
            "volatility_before": None if change.before is None else change.before.volatility,
            "volatility_carried": None if change.carried is None else change.carried.volatility,
            "volatility": change.now.volatility,
            "regimes": {each.name: each.probability for each in change.now.regimes},
        },
    }
