"""Refitting from the page: a button, and how far it is for all who look."""

from typing import Final

from htmltools import Tag
from shiny import Inputs, Outputs, reactive, render, ui

from belief.errors import BeliefError
from belief_tools.refitting import Progress
from belief_tools.web_state import Sitting

LOOKED_AT: Final = 0.5  # seconds between looks at a refit


def refit(sitting: Sitting, inputs: Inputs, output: Outputs) -> None:
    """Begin a refit when somebody wants one, and show how it goes.

    Args:
        sitting: what the browser looks at.
        inputs: of the browser.
        output: to the browser.
    """
    shared, problem = sitting.shared, reactive.Value("", name="problem")

    @reactive.effect
    @reactive.event(inputs.refit)
    def _begin() -> None:
        try:
            shared.refitting.start(sitting.place().symbol, snapshot=inputs.source() == "snapshot")
            problem.set("")
        except BeliefError as error:
            problem.set(str(error))

    @reactive.poll(lambda: shared.refitting.progress, LOOKED_AT)
    def progress() -> Progress | None:
        return shared.refitting.progress

    @reactive.effect
    def _see() -> None:
        now = progress()
        if now is not None and not now.runs:
            with reactive.isolate():
                sitting.refitted.set(sitting.refitted() + 1)

    @output
    @render.ui
    def refit_told() -> Tag | None:
        if problem():
            return ui.p(problem(), class_="problem")
        now = progress()
        return None if now is None else progress_told(now)


def progress_told(now: Progress) -> Tag:
    """How far a refit is, or how it ended.

    Args:
        now: of it.
    """
    if not now.runs:
        first, *rest = now.told
        return ui.div(ui.p(first), ui.tags.ul(*map(ui.tags.li, rest)) if rest else None)
    share = {"value": f"{now.share:.3f}"} if now.share else {}
    return ui.div(
        ui.p(f"{now.symbol}: {now.stage}"),
        ui.tags.progress(aria_label=f"Refit of {now.symbol}", max="1", **share),
    )
