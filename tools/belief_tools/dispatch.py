"""One door for every question: about a price to come, one that was, a record, or anything else.

Only a price to come is put to a language model. What the records themselves tell is said by our
own code, which needs no model and cannot invent.
"""

from collections.abc import Callable, Mapping, Sequence

from belief.errors import UnknownSymbol, UsageError
from belief_tools.answer import Answer, without_model
from belief_tools.consult import Mode, consult
from belief_tools.forecast_tool import ForecastTool
from belief_tools.llm import LanguageModel
from belief_tools.looked_up import look_up, topic_of
from belief_tools.question_kinds import ADVICE
from belief_tools.turns import Turn, leaning_on, read

NO_PRICE = "not a price question"
"""Stop reason of an answer to what is no question about a price."""

_NOT_A_PRICE = (
    "This is not a question about a future price, so nothing was consulted and no model asked. "
    'Ask for instance: "What will Nvidia\'s stock price be at the end of next month?"'
)

_NO_ADVICE = (
    "No advice is given here, on buying, selling or anything else. What can be asked is a price, "
    'and how sure it is: "What will Nvidia\'s stock price be at the end of next month?"'
)


def answer(
    text: str,
    tool: ForecastTool,
    connect: Callable[[], LanguageModel],
    *,
    mode: Mode = "tool",
    earlier: Sequence[Turn] = (),
    names: Mapping[str, Sequence[str]] | None = None,
    show: Callable[[str], None] | None = None,
) -> Answer:
    """Answer a question for one symbol.

    Args:
        text: the question.
        tool: the belief about the symbol, as of one session.
        connect: gives the language model; called only when one is needed.
        mode: as `belief_tools.consult.consult` has it.
        earlier: the turns of the conversation so far, oldest first.
        names: of all symbols that are answered for, where there are others than the tool's.
        show: as `belief_tools.consult.consult` has it.

    Returns:
        `Answer`; when the model fails, its text is the belief's statement.

    Raises:
        UsageError: the question's date cannot be a target.
        UnknownSymbol: the question is about a symbol without prices.
        LanguageModelError: the model failed, and it was not to consult the belief.
    """
    question = read(text, tool, earlier, names)
    topic = topic_of(question)
    if topic is None and question.kind == "other":
        said = _NO_ADVICE if ADVICE.search(question.text) else _NOT_A_PRICE
        return without_model(question.text, said, NO_PRICE)
    if question.problem:
        raise UsageError(question.problem)
    if question.symbol is None and question.other_symbols:
        raise UnknownSymbol(_unknown(question.other_symbols, names or tool.symbols))
    if topic is not None:
        return look_up(topic, leaning_on(question, earlier), tool)
    return consult(question, tool, connect, mode=mode, earlier=earlier, show=show)


def _unknown(asked: Sequence[str], known: Mapping[str, Sequence[str]]) -> str:
    return (
        f"the question is about {', '.join(asked)}; these are prices of {', '.join(known)}; "
        f"belief refit SYMBOL fetches others"
    )
