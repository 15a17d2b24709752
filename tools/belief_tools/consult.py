"""The consultation: the model calls the tool first and answers after, or its words are not shown.

1  the model is asked with the tool forced                          consulted_by "model"
2  no call came: it is asked for the arguments alone, as JSON       consulted_by "arguments"
3  still none: the host calls with what it reads in the question    consulted_by "host"
4  with the result in hand the model answers: as JSON, then as text
5  every figure of the text is checked; one retry names the errors
6  still wrong: the belief's own statement is the answer, the text stands beside it as rejected
"""

import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from belief.errors import LanguageModelError, UsageError
from belief.sessions import parse_day, session_after
from belief_tools.answer import UNCHECKED, Answer, without_model
from belief_tools.forecast_tool import (
    DEFINITION,
    NAME,
    PARAMETERS,
    Arguments,
    ForecastResult,
    ForecastTool,
    shown,
)
from belief_tools.gate import Gate
from belief_tools.grounding import Finding, check
from belief_tools.llm import LanguageModel, Message
from belief_tools.prediction import (
    BOUNDED_PREDICTION,
    PREDICTION,
    checked_prediction,
    judged,
    own_view_in_words,
    prediction_wanted,
    whole,
)
from belief_tools.questions import Question
from belief_tools.receipt import left_out, levels_in_words, receipt, statement
from belief_tools.replies import Reply, ToolCall
from belief_tools.supplement import lacking
from belief_tools.turns import Turn, as_messages, carried_in_words, in_full

Mode = Literal["tool", "context", "none"]
MODES: tuple[Mode, ...] = ("tool", "context", "none")
ASSUMED_HORIZON = 21
MAX_ROUNDS = 2
TOKENS = {"call": 300, "prediction": 300, "text": 200, "bare": 200}
SECONDS = 240.0
MOST_RECORDED = 500  # characters of what a model passed that are kept and repeated
FENCED = re.compile(r"```(?:json)?\s*(.*?)\s*```", re.DOTALL)


def consult(
    question: Question,
    tool: ForecastTool,
    connect: Callable[[], LanguageModel],
    *,
    mode: Mode = "tool",
    earlier: Sequence[Turn] = (),
    show: Callable[[str], None] | None = None,
) -> Answer:
    """Answer a question about a price to come, consulting the belief before the model speaks.

    In a conversation the belief is consulted anew in every turn, and the checks know no figure but
    those of that turn's result.

    Args:
        question: as `belief_tools.turns.read` read it.
        tool: the belief, as of one session.
        connect: gives the language model; called only when one is needed.
        mode: "tool"; "context" puts the belief in the prompt; "none" asks the bare model.
        earlier: the turns of the conversation so far, oldest first.
        show: is given the answer as far as it has passed the checks, sentence by sentence while
            it comes, and an empty text when what was shown has to be taken back.

    Returns:
        `Answer`; when the model fails, its text is the belief's statement.

    Raises:
        UsageError: the question's date cannot be a target.
        LanguageModelError: the model failed, and it was not to consult the belief.
    """
    return _Consultation(question, tool, connect, mode, earlier, show).run()


class _Consultation:
    """One question on its way through the steps, and what came of them so far."""

    def __init__(
        self,
        question: Question,
        tool: ForecastTool,
        connect: Callable[[], LanguageModel],
        mode: Mode,
        earlier: Sequence[Turn],
        show: Callable[[str], None] | None,
    ) -> None:
        self.question, self.tool, self.connect, self.mode = question, tool, connect, mode
        self.show = show
        self.endpoint: LanguageModel | None = None
        self.calls: list[dict[str, Any]] = []
        self.prediction: dict[str, Any] | None = None
        self.rejected: dict[str, Any] | None = None
        self.notes: list[str] = []
        self.deadline = time.monotonic() + SECONDS
        self.earlier = as_messages(earlier)
        self.messages: list[Message] = []
        if carried := carried_in_words(question, tool.prices.symbol):
            self.notes.append(carried)
        elif question.symbol is None:
            self.notes.append(f"the question names no company; {tool.prices.symbol} was assumed")
        self.notes += question.notes
        if question.other_symbols:
            self.notes.append(left_out(tool.prices.symbol, question.other_symbols))
        # a target that cannot be is an error before any model is asked
        self.host_arguments = self._from_question()

    def run(self) -> Answer:
        """Go through the steps; a model that fails leaves the belief's own statement."""
        if self.mode == "none":
            self.endpoint = self.connect()
            return self._bare()
        try:
            self.endpoint = self.connect()
            return self._consulted(self.endpoint)
        except LanguageModelError as error:
            return self._without_model(str(error))

    def _bare(self) -> Answer:
        reply = self._chat(self._conversation(), max_tokens=TOKENS["bare"])
        note = "the model was not allowed to consult the belief; do not rely on its figures"
        carried = carried_in_words(self.question, self.tool.prices.symbol)
        bare = without_model(
            self.question.text,
            reply.text.strip(),
            "not consulted",
            symbol=self.tool.prices.symbol,
            notes=(note, carried) if carried else (note,),
        )
        return replace(bare, model=self._model_name())

    def _consulted(self, endpoint: LanguageModel) -> Answer:
        result, consulted_by = None, "context"
        if self.mode == "tool" and endpoint.calls_tools:
            result, consulted_by = self._ask_for_call(), "model"
        if self.mode == "tool" and result is None:
            result, consulted_by = self._ask_for_arguments(), "arguments"
        if result is None:
            consulted_by = "context" if self.mode == "context" else "host"
            result = self._call(self.host_arguments, by=consulted_by)
        if consulted_by != "model":
            # the forecast goes into the prompt itself: small models lose it in a conversation
            self.messages = []
        self.prediction = self._ask_for_prediction(result)
        return self._ask_for_text(result, consulted_by)

    # ---- the call ----

    def _ask_for_call(self) -> ForecastResult | None:
        """Step 1: the tool forced; errors go back to the model, which may try once more."""
        forced = {"type": "function", "function": {"name": NAME}}
        self.messages = [self._instruction(), *self._conversation()]
        for _ in range(MAX_ROUNDS):
            reply = self._chat(
                self.messages, tools=[DEFINITION], tool_choice=forced, max_tokens=TOKENS["call"]
            )
            if not reply.tool_calls:
                return None
            self.messages.append(_as_message(reply))
            results = [self._answer_call(call) for call in reply.tool_calls]
            found = [result for result in results if result is not None]
            if found:
                return found[0]
        return None

    def _answer_call(self, call: ToolCall) -> ForecastResult | None:
        """Answer one call in the conversation, with a result or with an error to learn from."""
        result, told = None, ""
        if any("result" in earlier for earlier in self.calls):
            enough = "one call is enough; answer from its result"
            told = self._record_error(call.name, call.arguments, enough)
        elif call.name != NAME:
            unknown = f"there is no tool {shown(call.name)}; call {NAME}"
            told = self._record_error(call.name, call.arguments, unknown)
        else:
            try:
                settled = self._settled(parsed(call.arguments), "model")
                result = self._call(settled, by="model", asked=call.arguments)
                told = result.to_json()
            except UsageError as error:
                told = self._record_error(call.name, call.arguments, str(error))
        self.messages.append({"role": "tool", "tool_call_id": call.id, "content": told})
        return result

    def _record_error(self, name: str, arguments: str, error: str) -> str:
        kept = arguments[:MOST_RECORDED]
        self.calls.append({"name": name, "arguments": kept, "by": "model", "error": error})
        return json.dumps({"error": error})

    def _ask_for_arguments(self) -> ForecastResult | None:
        """Step 2: the arguments alone, as JSON that follows the tool's schema."""
        wanted = f"Reply with the arguments of {NAME} for this question, as JSON."
        *before, last = self._conversation()
        question: Message = {"role": "user", "content": f"{last['content']}\n{wanted}"}
        asked = [self._instruction(), *before, question]
        reply = self._chat(asked, schema=(NAME, PARAMETERS), max_tokens=TOKENS["call"])
        try:
            settled = self._settled(parsed(reply.text), "arguments")
        except UsageError as error:
            self._record_error(NAME, reply.text, str(error))
            self.calls[-1]["by"] = "arguments"
            return None
        return self._call(settled, by="arguments", asked=reply.text)

    def _settled(self, arguments: Mapping[str, Any], by: str) -> Arguments:
        """Check what the model passed; where the question itself is plain, the question wins."""
        read = self.host_arguments
        # a model that did not call by itself invents a date where the question has none
        trusted = self.question.target is None and by == "model"
        if trusted:
            settled = self.tool.check(arguments)
            if read.levels:
                settled = replace(settled, levels=read.levels)
            self.notes.append(f"the target {settled.target} was chosen by the language model")
            return settled
        self.tool.check({**arguments, "target_date": str(read.target), "price_levels": None})
        passed = arguments.get("target_date")
        if passed != str(read.target):
            before = " before" if "date" in self.question.carried else ""
            said = self.question.phrase or "no date"
            self.notes.append(
                f"the model asked for {shown(passed)}; the question{before} says {said!r}, "
                f"so {read.target} was used"
            )
        self._note_levels(arguments.get("price_levels"), read.levels)
        return read

    def _note_levels(self, passed: object, read: tuple[float, ...]) -> None:
        """Say so where a model asked for other levels than the question names."""
        if passed and (not isinstance(passed, list) or sorted(map(str, passed)) != _as_text(read)):
            named = ", ".join(_as_text(read)) or "none"
            self.notes.append(f"the model asked for levels {shown(passed)}; used: {named}")

    def _from_question(self) -> Arguments:
        """What the host reads in the question; a horizon is assumed where it names no date."""
        target = self.question.target
        if target is None:
            target = session_after(self.tool.prices.as_of, ASSUMED_HORIZON)
        return self.tool.check(
            {
                "symbol": self.tool.prices.symbol,
                "target_date": str(target),
                "price_levels": list(self.question.levels) or None,
            }
        )

    def _call(self, arguments: Arguments, *, by: str, asked: str | None = None) -> ForecastResult:
        """Run the tool and record the call, with what the model itself had asked for."""
        if self.question.target is None and arguments is self.host_arguments:
            self.notes.append(f"the question has no date; {ASSUMED_HORIZON} sessions were assumed")
        result = self.tool.run(arguments)
        self.calls.append(
            {
                "name": NAME,
                "arguments": arguments.to_dict(self.tool.prices.symbol),
                "by": by,
                "asked": asked and asked[:MOST_RECORDED],
                "result": result.to_dict(),
            }
        )
        return result

    # ---- the answer ----

    def _ask_for_prediction(self, result: ForecastResult) -> dict[str, Any] | None:
        """Step 4, first half: the model's own numbers, or None when they make no sense."""
        low, high = result.interval_90
        told = f"Forecast: price {result.median}, low {low}, high {high}, prob_up {result.prob_up}"
        wanted = prediction_wanted(self.tool.prices, self._asked, told)
        asked = [*self.messages, {"role": "user", "content": wanted}]
        wire = PREDICTION if self.messages else BOUNDED_PREDICTION
        reply = self._chat(asked, schema=("prediction", wire), max_tokens=TOKENS["prediction"])
        try:
            prediction = checked_prediction(parsed(whole(reply)))
        except UsageError as error:
            reason = str(error).partition(";")[0]
            self.notes.append(f"the model gave no usable prediction: {reason}")
            return None
        interval = self.tool.forecast(parse_day(result.target)).interval(0.98)
        own = judged(prediction, result, interval)
        if own["own_view"]:
            self.notes.append(own_view_in_words(own, interval))
        return own

    def _ask_for_text(self, result: ForecastResult, consulted_by: str) -> Answer:
        """Steps 4 to 6: text, check, one retry, then the belief's own statement."""
        text, findings = self._grounded(self._wish(result), result)
        stop_reason = "answered"
        if findings:
            self.rejected = _checks(text, findings)
            wish = f"{self._wish(result)}\n{self._mistakes(findings)}"
            text, findings = self._grounded(wish, result)
            stop_reason = "replaced" if findings else "repaired"
        return Answer(
            question=self.question.text,
            symbol=self.tool.prices.symbol,
            text=statement(result) if findings else text,
            result=result,
            consulted_by=consulted_by,
            tool_calls=tuple(self.calls),
            prediction=self.prediction,
            checks=_checks(text, findings),
            model=self._model_name(),
            stop_reason=stop_reason,
            notes=tuple(self.notes),
            receipt=receipt(result, consulted_by, self._model_name()),
        )

    def _grounded(self, wish: str, result: ForecastResult) -> tuple[str, tuple[Finding, ...]]:
        asked = [*self.messages, {"role": "user", "content": wish}]
        fields = result.to_dict()
        gate = None if self.show is None else Gate(fields, self._asked, self.show)
        wanted = {} if gate is None else {"on_text": gate.more}
        try:
            reply = self._chat(asked, stop="\n\n", max_tokens=TOKENS["text"], **wanted)
        except LanguageModelError:
            if gate is not None:
                gate.close("")
            raise
        text, findings = self._judged(reply, fields)
        if not findings and (added := lacking(text, result, self.question.text)):
            text = f"{text}{chr(10) if chr(10) in text else ' '}{added}"
            self.notes.append(f"added by this program: {added}")
        if gate is not None:
            gate.close("" if findings else text)
        return text, findings

    def _judged(self, reply: Reply, fields: Mapping[str, Any]) -> tuple[str, tuple[Finding, ...]]:
        text = reply.text.strip()
        findings = check(text, fields, question=self._asked)
        if not findings and reply.finish_reason == "length":
            if not text.endswith((".", "!", "?")):
                # small models repeat a right sentence until they are stopped in the middle of it
                reason = "the text was cut off at the token limit; say it in fewer words"
                return text, (Finding(text[-40:], "sentence", reason),)
            self.notes.append("the model's text was cut off at the token limit")
        return text, findings

    def _without_model(self, error: str) -> Answer:
        """The belief speaks for itself when the model cannot."""
        done = [call["result"] for call in self.calls if "result" in call]
        result = ForecastResult(**done[0]) if done else self._call(self.host_arguments, by="host")
        consulted_by = next(call["by"] for call in self.calls if "result" in call)
        return Answer(
            question=self.question.text,
            symbol=self.tool.prices.symbol,
            text=statement(result),
            result=result,
            consulted_by=consulted_by,
            tool_calls=tuple(self.calls),
            prediction=self.prediction,
            checks=self.rejected or UNCHECKED,
            model=None if self.endpoint is None else self._model_name(),
            stop_reason="language model failed",
            notes=(*self.notes, error),
            receipt=receipt(result, consulted_by, self._model_name()),
        )

    # ---- the wording ----

    def _instruction(self) -> Message:
        content = (
            f"Today is {self.tool.prices.as_of}. You answer questions about the price of "
            f"{self.tool.prices.name} ({self.tool.prices.symbol}). Your memory of prices is out of "
            f"date: call {NAME} first and use only the figures it returns."
        )
        return {"role": "system", "content": content}

    def _conversation(self) -> list[Message]:
        """The question as it is put to the model; one that calls tools follows the turns before."""
        follows = self.endpoint is not None and self.endpoint.calls_tools
        text = self.question.text if follows else in_full(self.question, self.tool.prices.name)
        return [*(self.earlier if follows else ()), {"role": "user", "content": text}]

    @property
    def _asked(self) -> str:
        """The question beside the forecast: in full where the turns before are not shown."""
        if self.messages:
            return self.question.text
        return in_full(self.question, self.tool.prices.name)

    def _wish(self, result: ForecastResult) -> str:
        return (
            f"Forecast: {result.summary}. {levels_in_words(result)}\n\n"
            f"Question: {self._asked}\n\n"
            "Answer the question by repeating the forecast, with its date and its prices."
        )

    def _mistakes(self, findings: Sequence[Finding]) -> str:
        """Name the errors: in full to a model that can follow, by rule alone to a small one."""
        if self.messages:
            return "A first answer was wrong: " + "; ".join(f.message for f in findings) + "."
        return "A first answer was rejected: " + "; ".join(f.rule for f in findings) + "."

    def _model_name(self) -> str | None:
        return None if self.endpoint is None else self.endpoint.name

    def _chat(self, messages: Sequence[Message], **wanted: Any) -> Reply:
        if self.endpoint is None:
            raise LanguageModelError("no language model is connected")
        if time.monotonic() > self.deadline:
            raise LanguageModelError(f"{self.endpoint.name} took more than {SECONDS:g} seconds")
        return self.endpoint.chat(messages, **wanted)


def _checks(text: str, findings: Sequence[Finding]) -> dict[str, Any]:
    """The checks of an answer; the text is kept where it was rejected."""
    return {
        "passed": not findings,
        "findings": [vars(finding) for finding in findings],
        "rejected": text if findings else None,
    }


def _as_text(levels: Sequence[float]) -> list[str]:
    return sorted(f"{level:g}" for level in levels)


def parsed(text: str) -> Mapping[str, Any]:
    """Parse a JSON object as a model writes it; models without schemas like to fence it.

    Raises:
        UsageError: it is none.
    """
    fenced = FENCED.fullmatch(text.strip())
    try:
        value = json.loads(fenced[1] if fenced else text)
    except (ValueError, RecursionError):
        raise UsageError(f"{shown(text)} is not JSON; write one JSON object") from None
    if not isinstance(value, dict):
        raise UsageError(f"{shown(text)} is not a JSON object; write one")
    return value


def _as_message(reply: Reply) -> Message:
    """The model's own turn, as the next request must repeat it."""
    return {
        "role": "assistant",
        "content": reply.text or None,
        "tool_calls": [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for call in reply.tool_calls
        ],
    }
