"""The first line of an evaluation: whether the tool helped each model, by its own predictions."""

from typing import Final

from belief_tools.evaluation_differences import HARMS, HELPS, Difference
from belief_tools.evaluation_rows import Summary
from belief_tools.evaluation_scores import Scored
from belief_tools.report_page import Claim

AGAINST: Final = {"price": "the price alone", "band": "the band of a random walk"}
OTHERS: Final = {"interval": "interval score", "brier": "Brier score of its chances of a rise"}
NOBODY: Final = "No language model was asked, so nothing can be said about the tool"


def headline(scored: Scored) -> list[Claim]:
    """Say for each language model and mode whether the tool helped.

    It is said to have helped only where the absolute percentage error of the model's own
    predictions is smaller with the tool, beyond chance, than with the price alone and than with
    the band of a random walk.

    Args:
        scored: an evaluation.
    """
    return [_of_model(scored, *asked) for asked in scored.trials.asked] or [Claim(NOBODY)]


def signed(value: float, digits: int) -> str:
    """A number with its sign; what rounds to 0 has none.

    Example:
        >>> signed(0.25, 1), signed(-0.04, 1), signed(3.0, 0)
        ('+0.2', '0.0', '+3')
    """
    shown = f"{value:+.{digits}f}"
    return shown if float(shown) else shown.lstrip("+-")


def _of_model(scored: Scored, model: str, mode: str) -> Claim:
    found = {
        base: difference
        for base in AGAINST
        if (difference := _difference(scored, model, mode, base, "error")) is not None
    }
    named = f"{model} ({mode})"
    if not found:
        return Claim(f"Whether the tool helped {named} cannot be said: it was not compared")
    by_the_stand_in = _by_the_stand_in(scored, model, mode, found)
    grounds = [
        _compared(found),
        *_others(scored, model, mode, list(found)),
        _stood_in(scored, model, mode, list(found)),
        by_the_stand_in,
        _few(list(found.values())),
    ]
    if not _of_arm(scored, model, mode, "tool").n_stated:
        claim = f"Whether the tool helped {named} cannot be said: with it nothing usable was said"
        return Claim(claim)
    claim = f"Whether the tool helped {named}, or the random walk that stands in, cannot be told"
    if not by_the_stand_in:
        claim = _claim(list(found.values()), named)
    return Claim(claim, "; ".join(filter(None, grounds)))


def _claim(found: list[Difference], named: str) -> str:
    """Claim only what holds against every base that was asked."""
    helping = [each for each in found if each.verdict == HELPS]
    if len(helping) == len(found):
        missing = [words for base, words in AGAINST.items() if base not in {e.base for e in found}]
        beside = f" (not compared with {missing[0]})" if missing else ""
        if any(each.few for each in found):
            return f"The tool seems to have helped {named}, in too few windows to judge{beside}"
        return f"The tool helped {named}{beside}"
    if helping:
        other = next(each.base for each in found if each.verdict != HELPS)
        words = f"{AGAINST[helping[0].base]}, not {AGAINST[other]}"
        if any(each.few for each in found):
            return f"The tool seems to have helped {named} against {words}, in too few windows"
        return f"The tool helped {named} against {words}"
    if any(each.verdict == HARMS for each in found):
        worse = "it seems to have made" if any(each.few for each in found) else "it made"
        return f"The tool did not help {named}, {worse} its predictions worse"
    return f"The tool did not help {named}"


def _compared(found: dict[str, Difference]) -> str:
    """Name the errors, with those of the tool once where every base has the same trials."""
    clauses: list[str] = []
    for base, each in found.items():
        arm = f"{100 * each.mean_arm:.1f} % with it against "
        clauses.append(
            f"{'' if clauses and clauses[0].startswith(arm) else arm}"
            f"{100 * each.mean_base:.1f} % with {AGAINST[base]} (difference "
            f"{signed(100 * each.mean, 2)} points, {_interval(each)}, {each.n:,} trials)"
        )
    return f"mean absolute percentage error {' and '.join(clauses)}"


def _interval(each: Difference) -> str:
    if each.low is None or each.high is None:
        return "too few origins for an interval"
    return f"90 % interval {signed(100 * each.low, 2)} to {signed(100 * each.high, 2)}"


def _others(scored: Scored, model: str, mode: str, bases: list[str]) -> list[str]:
    told = []
    for name, words in OTHERS.items():
        verdicts = {
            base: difference.verdict
            for base in bases
            if (difference := _difference(scored, model, mode, base, name)) is not None
        }
        if len(bases) > 1 and len(set(verdicts.values())) == 1:
            told.append(f"{words}: {verdicts[bases[0]]} (against both)")
        else:
            each = [f"{verdict} against {AGAINST[base]}" for base, verdict in verdicts.items()]
            told.append(f"{words}: {', '.join(each)}")
    return told


def _stood_in(scored: Scored, model: str, mode: str, bases: list[str]) -> str:
    """Count the answers that the random walk stands in for."""
    arms = {"tool": "with the tool", **{base: f"with {AGAINST[base]}" for base in bases}}
    told = {words: _of_arm(scored, model, mode, arm) for arm, words in arms.items()}
    if all(each.n_stated == each.n for each in told.values()):
        return ""
    parts = [f"{each.n - each.n_stated:,} of {each.n:,} {words}" for words, each in told.items()]
    return f"unusable or rejected, so that a random walk counts: {', '.join(parts)}"


def _by_the_stand_in(scored: Scored, model: str, mode: str, found: dict[str, Difference]) -> str:
    """Say where a gain is gone once both arms said something usable themselves.

    Only where something stands in for what the model said with the tool: it may well gain over a
    base that said nothing usable.
    """
    tool = _of_arm(scored, model, mode, "tool")
    for base, each in found.items():
        if each.verdict == HELPS and tool.n_stated < tool.n:
            both = _difference(scored, model, mode, base, "error", by="stated")
            n = 0 if both is None else both.n
            if both is None or both.verdict != HELPS:
                return (
                    f"on the {n:,} trials in which the model itself said something usable both "
                    f"times, no gain is shown over {AGAINST[base]}"
                )
    return ""


def _of_arm(scored: Scored, model: str, mode: str, arm: str) -> Summary:
    wanted = (model, mode, arm, None)
    return next(
        each
        for each in scored.summaries
        if (each.model, each.mode, each.arm, each.horizon) == wanted
    )


def _few(found: list[Difference]) -> str:
    fewest = min(found, key=lambda each: each.n_windows)
    if not fewest.few:
        return ""
    return f"only {fewest.n_windows:,} windows that do not overlap, too few to judge by"


def _difference(
    scored: Scored, model: str, mode: str, base: str, name: str, by: str = "all"
) -> Difference | None:
    return scored.difference(
        model=model, mode=mode, arm="tool", base=base, of="own", score=name, by=by
    )
