"""A person's own view of the day that is marked, written to the ledger."""

import numpy as np
from htmltools import Tag
from shiny import Inputs, Outputs, reactive, render, ui

from belief.errors import BeliefError, UsageError
from belief.view import View
from belief_tools.forecast_tool import ForecastTool, shown
from belief_tools.my_view import Viewed, record_view
from belief_tools.web_look import in_words
from belief_tools.web_state import Sitting


def view(sitting: Sitting, inputs: Inputs, output: Outputs) -> None:
    """Take in a view, and say what it makes of the forecast.

    Args:
        sitting: what the browser looks at.
        inputs: of the browser.
        output: to the browser.
    """
    shared = sitting.shared

    @reactive.extended_task
    async def record(
        tool: ForecastTool, target: np.datetime64, held: View, note: str
    ) -> tuple[np.datetime64, View, Viewed]:
        written = await shared.drawing.run(
            lambda: record_view(tool, target, held, note, shared.now())
        )
        return target, held, written

    told: reactive.Value[Tag | None] = reactive.Value(None, name="told")

    @reactive.effect
    @reactive.event(inputs.view)
    def _begin() -> None:
        try:
            tool, target = _marked(sitting)
            held = _held(inputs)
        except BeliefError as error:
            told.set(ui.p(str(error), class_="problem"))
        else:
            told.set(None)
            record(tool, target, held, str(inputs.view_note() or ""))

    @reactive.effect
    def _end() -> None:
        if record.status() == "success":
            target, held, written = record.value()
            with reactive.isolate():
                if sitting.target() == target:  # unless another day is marked by now
                    sitting.view.set(held)
            told.set(_recorded(written))
        elif record.status() == "error":
            told.set(ui.p(in_words(record.error()), class_="problem"))

    @output
    @render.ui
    def view_told() -> Tag | None:
        return told()


def _marked(sitting: Sitting) -> tuple[ForecastTool, np.datetime64]:
    look, target = sitting.look(), sitting.target()
    if look is None:
        raise UsageError("there is no forecast that a view could be about")
    if target is None:
        raise UsageError("no day is marked; ask about a day, or mark one above")
    return look.tool, target


def _held(inputs: Inputs) -> View:
    named = {
        "low": inputs.view_low(),
        "median": inputs.view_median(),
        "high": inputs.view_high(),
        "confidence": inputs.view_confidence(),
    }
    return View(**{name: _number(name, str(value)) for name, value in named.items()})


def _number(name: str, written: str) -> float:
    """A number as people write them: 1,250.50 or $1,250.50."""
    try:
        return float(written.strip().lstrip("$").replace(",", ""))
    except ValueError:
        raise UsageError(f"{name} is {shown(written)}; give a number, such as 125.50") from None


def _recorded(viewed: Viewed) -> Tag:
    return ui.div(
        ui.tags.ul(*map(ui.tags.li, viewed.words)),
        ui.p("In the ledger: ", ui.a(f"view {viewed.entry}", href=f"ledger/{viewed.entry}")),
    )
