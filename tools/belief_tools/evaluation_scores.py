"""What an evaluation says: every arm summed up, arms compared, and how much a model recalls."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from belief_tools.evaluation_differences import Difference, LeftOut, differences
from belief_tools.evaluation_rows import Row, Summary, Trials, summaries, trials_of

PAIRS: Final = (
    ("tool", "price"),
    ("tool", "band"),
    ("context", "price"),
    ("tool", "none"),
    ("tool", "belief"),
)


class Recall(NamedTuple):
    """How many past closes a model knows when it is asked outright.

    Attributes:
        model: its name.
        n: closes it was asked for.
        n_said: to which it said a figure.
        n_known: that it knows.
    """

    model: str
    n: int
    n_said: int
    n_known: int

    @property
    def share(self) -> float:
        """Closes known, of those asked for."""
        return self.n_known / self.n


@dataclass(frozen=True, eq=False)
class Scored:
    """An evaluation, scored.

    Attributes:
        trials: the rows and their scores.
        summaries: of every arm.
        differences: of every pair.
        left_out: of every pair, also where nothing was.
        recall: of every model that was probed.
    """

    trials: Trials
    summaries: tuple[Summary, ...]
    differences: tuple[Difference, ...]
    left_out: tuple[LeftOut, ...]
    recall: tuple[Recall, ...]

    def difference(self, **wanted: str) -> Difference | None:
        """Find the first difference whose fields are as wanted, or None."""
        for each in self.differences:
            if all(getattr(each, name) == value for name, value in wanted.items()):
                return each
        return None


def score(
    rows: Iterable[Row],
    *,
    probe: Iterable[Row] = (),
    pairs: Sequence[tuple[str, str]] = PAIRS,
) -> Scored:
    """Score an evaluation.

    Args:
        rows: of `belief_tools.evaluate.evaluate`.
        probe: of the recall probe, see `evaluation_scores.recall`.
        pairs: arms to compare, arm and base; a base without a language model serves every model.

    Raises:
        ValueError: a row comes twice, holds a figure that cannot be, or says of its trial what
            another arm says differently.
    """
    trials = trials_of(rows)
    found, left_out = differences(trials, pairs)
    return Scored(trials, summaries(trials), found, left_out, recall(probe))


def recall(probe: Iterable[Row]) -> tuple[Recall, ...]:
    """Count the past closes that each model knows.

    Args:
        probe: {"model", "day", "said", "actual", "knows"} for each close asked for; "said" is
            None where no figure was said.

    Returns:
        One `Recall` a model, in the order of the rows.

    Example:
        >>> asked = {"model": "m", "day": "2020-01-02", "actual": 59.98}
        >>> right, silent = {"said": 60.0, "knows": True}, {"said": None, "knows": False}
        >>> recall([asked | right, asked | silent])
        (Recall(model='m', n=2, n_said=1, n_known=1),)
    """
    of_model: dict[str, list[Row]] = {}
    for row in probe:
        of_model.setdefault(row["model"], []).append(row)
    return tuple(
        Recall(
            model,
            len(rows),
            sum(row["said"] is not None for row in rows),
            sum(bool(row["knows"]) for row in rows),
        )
        for model, rows in of_model.items()
    )
