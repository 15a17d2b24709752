"""Ask every arm the same questions as of the past, and keep what each said in rows.

What a prompt may hold ends at the close of the origin: prices, belief, calendar and the day that is
called today. Rows come from the tape alone, so that they can be made again without a network.
"""

import functools
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from belief.errors import UsageError
from belief.prices import Prices
from belief_tools.arms import ARMS, Arm, Facts, Said, ask, figures_of
from belief_tools.contestants import Contestant, Pace
from belief_tools.disguise import Disguise, DisguisedModel, DisguisedTool, disguised
from belief_tools.llm import LanguageModel
from belief_tools.tape import Exchange, Heard, Tape, TapedModel
from belief_tools.trials import UNAIDED, Trial, trials

Days = npt.NDArray[np.datetime64]
Row = dict[str, Any]
Progress = Callable[[int, int], None]

PLAIN, MASKED, AFTER_CUTOFF = "plain", "masked", "after-cutoff"
MODES: Final = (PLAIN, MASKED, AFTER_CUTOFF)


@dataclass(frozen=True)
class Plan:
    """What is asked of whom.

    Attributes:
        prices: of the symbol, with the outcomes.
        origins: (N,) sessions to ask from.
        horizons: sessions ahead.
        contestants: language models, of different names.
        arms: of `belief_tools.arms.ARMS`.
        modes: of `MODES`; "after-cutoff" takes the origins after a model's cutoff.
        most_tokens: where every reply is cut off.
        jobs: requests at once.
        per_minute: requests a minute to each model, at most; None for no limit.
        budget: dollars that may be spent on what is not on the tape; None for no limit.
    """

    prices: Prices
    origins: Days
    horizons: tuple[int, ...]
    contestants: tuple[Contestant, ...]
    arms: tuple[Arm, ...] = ARMS
    modes: tuple[str, ...] = (PLAIN, MASKED)
    most_tokens: int = 300
    jobs: int = 1
    per_minute: float | None = None
    budget: float | None = None

    def __post_init__(self) -> None:
        names = [each.name for each in self.contestants]
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise UsageError(f"the model {min(twice)} is named twice; each is asked once")
        for each in self.contestants:
            if AFTER_CUTOFF in self.modes and each.cutoff is None:
                raise UsageError(f"{each.name} has no cutoff; add cutoff=YYYY-MM-DD to its --model")
            if self.budget is not None and each.cost(1, 1) is None:
                raise UsageError(f"a budget needs in= and out=, the prices of {each.name}")
        if AFTER_CUTOFF in self.modes and not any(map(self.n_after_cutoff, self.contestants)):
            raise UsageError(
                f"no day to ask from is after the cutoff of a model; the last is {self.origins[-1]}"
            )

    def n_after_cutoff(self, contestant: Contestant) -> int:
        """How many of the origins are after the cutoff of a model.

        Args:
            contestant: the model.
        """
        return sum(is_after(contestant, session) for session in self.origins)

    @property
    def n_questions(self) -> int:
        """How many questions are put to language models."""
        return sum(map(self.n_questions_to, self.contestants))

    def n_questions_to(self, contestant: Contestant) -> int:
        """How many questions are put to one language model.

        Args:
            contestant: the model.
        """
        origins = len(self.origins) * sum(mode in self.modes for mode in (PLAIN, MASKED))
        if AFTER_CUTOFF in self.modes and PLAIN not in self.modes:
            origins += self.n_after_cutoff(contestant)
        return origins * len(self.horizons) * len(self.arms)


class Purse:
    """Dollars that all models of a run have spent; safe to use from several threads."""

    def __init__(self, budget: float | None) -> None:
        """Begin with nothing spent.

        Args:
            budget: dollars that may be; None for no limit.
        """
        self.budget, self.spent = budget, 0.0
        self._lock = threading.Lock()

    def pay(self, dollars: float) -> None:
        """Count what an exchange cost.

        Args:
            dollars: for it.
        """
        with self._lock:
            self.spent += dollars


@dataclass
class Meter:
    """Counts what requests cost, holds them to a pace, and ends it when the budget is spent."""

    contestant: Contestant
    pace: Pace | None
    purse: Purse  # of all models of a run

    def before(self) -> None:
        """Let a request through, in time.

        Raises:
            UsageError: the budget is spent.
        """
        budget, spent = self.purse.budget, self.purse.spent
        if budget is not None and spent >= budget:
            raise UsageError(
                f"the budget of ${budget:g} is spent (${spent:.4f}); what was answered is kept: "
                f"the same command goes on from there"
            )
        if self.pace is not None:
            self.pace.wait()

    def after(self, exchange: Exchange) -> None:
        """Count what an exchange cost.

        Args:
            exchange: a new one.

        Raises:
            UsageError: there is a budget, and the server does not say how many tokens it took.
        """
        if exchange.reply is None:
            return
        counts = (exchange.reply[name] for name in ("prompt_tokens", "completion_tokens"))
        cost = self.contestant.cost(*counts)
        if cost is None and self.purse.budget is not None:
            raise UsageError(
                f"the server of {self.contestant.name} does not count tokens, so that no budget "
                f"can be kept; leave out --budget"
            )
        self.purse.pay(cost or 0.0)


@dataclass(frozen=True)
class _Question:
    """One question to one model."""

    contestant: Contestant
    mode: str
    arm: Arm
    trial: Trial


def evaluate(
    plan: Plan,
    tape: Tape,
    environ: Mapping[str, str],
    progress: Progress,
    purse: Purse | None = None,
) -> list[Row]:
    """Ask everything that is not on the tape.

    Args:
        plan: what is asked of whom.
        tape: what was said before; what is said now is added to it.
        environ: holds the keys.
        progress: is told how many of how many questions are done.
        purse: pays for it; None for a new one with the budget of the plan.

    Returns:
        One row for each model, mode, arm, origin and horizon, in that order, and those of the
        forecasts without a language model.

    Raises:
        UsageError: the plan makes no sense, or the budget is spent.
        NoModel: a model cannot be had at all.
    """
    rows: list[Row] = []
    purse = Purse(plan.budget) if purse is None else purse
    models = {each.name: taped(each, plan, tape, environ, purse) for each in plan.contestants}

    def answer(question: _Question) -> Row:
        return _row(question, *_asked(question, models[question.contestant.name]()))

    with ThreadPoolExecutor(max_workers=plan.jobs) as threads:
        for together in trials(plan.prices, list(plan.origins), plan.horizons):
            for trial in together:
                rows += _unaided(trial)
            for row in threads.map(answer, list(_questions(plan, together))):
                rows.append(row)
                progress(sum(1 for each in rows if each["model"]), plan.n_questions)
    rows += [copy for row in rows if (copy := _after_cutoff(plan, row)) is not None]
    return sorted(rows, key=_order)


def taped(
    contestant: Contestant, plan: Plan, tape: Tape, environ: Mapping[str, str], purse: Purse
) -> Callable[[], TapedModel]:
    """Connect a model to the tape, as often as is wanted, with one pace and one connection.

    Args:
        contestant: the model.
        plan: whose limits hold.
        tape: what was said before; what is said now is added to it.
        environ: holds the key.
        purse: pays for it.
    """
    pace = None if plan.per_minute is None else Pace(plan.per_minute)
    meter = Meter(contestant, pace, purse)
    return functools.partial(
        TapedModel,
        contestant.name,
        tape,
        _once(contestant, environ),
        calls_tools=contestant.calls_tools,
        most_tokens=plan.most_tokens,
        before=meter.before,
        after=meter.after,
    )


def _once(contestant: Contestant, environ: Mapping[str, str]) -> Callable[[], LanguageModel]:
    made: list[LanguageModel] = []

    def connect() -> LanguageModel:
        if not made:
            made.append(contestant.connect(environ))
        return made[0]

    return connect


def _questions(plan: Plan, together: Sequence[Trial]) -> Iterator[_Question]:
    for contestant in plan.contestants:
        for mode in plan.modes:
            for arm in plan.arms:
                for trial in together:
                    if mode != AFTER_CUTOFF:
                        yield _Question(contestant, mode, arm, trial)
                    elif PLAIN not in plan.modes and is_after(contestant, trial.origin.session):
                        yield _Question(contestant, mode, arm, trial)


def is_after(contestant: Contestant, session: np.datetime64) -> bool:
    """Whether a session is after the last day a model was trained on, as far as it is told.

    Args:
        contestant: the model.
        session: any day.
    """
    return contestant.cutoff is not None and bool(session > contestant.cutoff)


def _after_cutoff(plan: Plan, row: Row) -> Row | None:
    """The row of a plain question once more, where it was asked after the model's cutoff."""
    if AFTER_CUTOFF not in plan.modes or row["mode"] != PLAIN:
        return None
    contestant = next(each for each in plan.contestants if each.name == row["model"])
    after = is_after(contestant, np.datetime64(row["origin"], "D"))
    return {**row, "mode": AFTER_CUTOFF} if after else None


def facts_of(trial: Trial, mode: str) -> Facts:
    """What the prompts of a question may hold.

    Args:
        trial: the question.
        mode: of `MODES`; where it is "masked" the tool is a `DisguisedTool`.
    """
    origin, target, told = trial.origin, trial.target, tuple(trial.origin.recent_closes)
    low, high = origin.forecast("random_walk", target).interval(0.9)
    if mode != MASKED:
        return Facts(origin.tool, target, told, (low, high))
    tool = disguised(origin.tool)
    price = tool.disguise.price
    closes = tuple(map(price, told))
    return Facts(tool, tool.disguise.day(target), closes, (price(low), price(high)))


def _asked(question: _Question, model: TapedModel) -> tuple[Said, Heard, Disguise | None]:
    facts = facts_of(question.trial, question.mode)
    if not isinstance(facts.tool, DisguisedTool):
        return ask(question.arm, facts, model), model.heard(), None
    masked = DisguisedModel(model, question.trial.origin.known.symbol)
    return ask(question.arm, facts, masked), model.heard(), facts.tool.disguise


def _row(question: _Question, said: Said, heard: Heard, disguise: Disguise | None) -> Row:
    def true(figures: Mapping[str, float] | None) -> Mapping[str, float] | None:
        return figures if figures is None or disguise is None else disguise.undone(figures)

    about = _about(question.trial)
    own, shown = true(said.own), true(said.shown)
    return {
        "model": question.contestant.name,
        "mode": question.mode,
        "arm": question.arm,
        **about,
        "own": own,
        "shown": shown or about["random_walk"],
        "unusable": said.unusable,
        "refused": said.refused,
        "replaced": said.replaced,
        "failed": said.failed,
        "consulted_by": said.consulted_by,
        "grounded": said.grounded,
        "requests": heard.requests,
        "prompt_tokens": heard.prompt_tokens,
        "completion_tokens": heard.completion_tokens,
        "seconds": heard.seconds,
        "cost": question.contestant.cost(heard.prompt_tokens, heard.completion_tokens),
        "text": said.text,
    }


def _about(trial: Trial) -> Row:
    origin = trial.origin
    return {
        "origin": str(origin.session),
        "target": str(trial.target),
        "horizon": trial.horizon,
        "regime": origin.regime,
        "last_close": origin.known.last_close,
        "actual": trial.actual,
        "random_walk": figures_of(origin.forecast("random_walk", trial.target)),
    }


def _unaided(trial: Trial) -> Iterator[Row]:
    """The rows of the forecasts without a language model."""
    for model in UNAIDED:
        figures = figures_of(trial.origin.forecast(model, trial.target))
        yield {
            "model": "",
            "mode": "",
            "arm": model,
            **_about(trial),
            "own": figures,
            "shown": figures,
            **dict.fromkeys(("unusable", "refused", "replaced", "failed"), False),
            **dict.fromkeys(("consulted_by", "grounded", "cost"), None),
            **dict.fromkeys(("requests", "prompt_tokens", "completion_tokens"), 0),
            "seconds": 0.0,
            "text": "",
        }


def _order(row: Row) -> tuple[Any, ...]:
    arms, modes = (*UNAIDED, *ARMS), ("", *MODES)
    return (
        row["model"],
        modes.index(row["mode"]),
        arms.index(row["arm"]),
        row["origin"],
        row["horizon"],
    )
