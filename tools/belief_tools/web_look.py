"""Looking: what is picked, and what is drawn for it."""

import logging
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

import numpy as np
from htmltools import HTML, Tag
from shiny import Inputs, Outputs, reactive, render, req, ui
from shiny.session import get_current_session

from belief.errors import BeliefError, NotPublished, UsageError
from belief.models import target_session
from belief.view import View
from belief_tools import looking
from belief_tools.forecast_tool import ForecastTool
from belief_tools.looks import Look, Place
from belief_tools.web_state import Sitting

REFRESHED: Final = 10.0  # seconds until it is seen that a newer model was published
BROKEN: Final = "an error of this program; the log of the server has it"

PRESS: Final = (
    'No model of these prices is published yet by this version of the program. Open "Refit the '
    'model" above and press "Refit now": that takes about a minute.'
)
NO_DAY: Final = "no day is picked; write one as YYYY-MM-DD"
NO_TARGET: Final = "no day is given that could be marked; write one as YYYY-MM-DD"
NO_FORECAST: Final = "there is no forecast yet in which a day could be marked"

log = logging.getLogger(__name__)


def look(sitting: Sitting, inputs: Inputs, output: Outputs) -> None:
    """Follow what is picked, and draw it.

    Args:
        sitting: what the browser looks at.
        inputs: of the browser.
        output: to the browser.
    """
    _follow_pickers(sitting, inputs)
    _follow_steps(sitting, inputs)
    _find(sitting)
    _tell(sitting, output)
    _offer_what_came(sitting, output)
    _mark(sitting, inputs, output)
    _name_place(sitting)
    _show_forecast(sitting, inputs, output)
    for name in ("belief", "regimes", "record"):
        _show_section(sitting, name, output)


def in_words(error: BaseException | None) -> str:
    """What a person is told of an error; what is not theirs goes to the log.

    Args:
        error: what went wrong.
    """
    if isinstance(error, BeliefError):
        return str(error)
    log.error("the page could not do what it should", exc_info=error)
    return BROKEN


def _follow_pickers(sitting: Sitting, inputs: Inputs) -> None:
    @reactive.effect
    @reactive.event(inputs.symbol, inputs.as_of, ignore_init=True, ignore_none=False)
    def _pick() -> None:
        day = inputs.as_of()
        try:
            if day is None:
                raise UsageError(NO_DAY)
            _go_to(sitting, inputs.symbol(), np.datetime64(day, "D"))
            sitting.refused.set("")
        except BeliefError as error:
            sitting.refused.set(str(error))


def _go_to(sitting: Sitting, symbol: str, day: np.datetime64) -> None:
    """Look at a session, which may have been looked at already."""
    shared, before = sitting.shared, sitting.place()
    place = shared.place(symbol, day)
    session = shared.session(place)
    if session != day:  # a day without a session, or one that there is no data of
        ui.update_date("as_of", value=str(session))
    if place == before:
        return
    sitting.target.set(None)
    sitting.look.set(shared.looks.ready(place))
    sitting.visit.set(sitting.visit() + 1)
    sitting.place.set(place)
    if place.symbol != before.symbol:
        _offer_days(sitting, place)


def _offer_days(sitting: Sitting, place: Place, steps: int = 0) -> None:
    """Have the calendar show a session, among all those that there are by now."""
    session = sitting.shared.prices(place.symbol).session
    ui.update_date(
        "as_of",
        min=str(session[0]),
        max=str(session[-1]),
        value=str(sitting.shared.session(place, steps)),
    )


def _follow_steps(sitting: Sitting, inputs: Inputs) -> None:
    def follow(button: Any, steps: int | None) -> None:
        @reactive.effect
        @reactive.event(button)
        def _step() -> None:
            place = sitting.place()
            try:
                if steps is None:
                    _offer_days(sitting, Place(place.symbol))
                else:
                    _offer_days(sitting, place, steps)
            except BeliefError as error:
                sitting.refused.set(str(error))

    follow(inputs.earlier, -1)
    follow(inputs.later, 1)
    follow(inputs.newest, None)


def _find(sitting: Sitting) -> None:
    """Have in view what is picked."""
    shared = sitting.shared

    @reactive.extended_task
    async def find(place: Place) -> Look:
        busy = shared.drawing if place.as_of is None else shared.fitting
        return await busy.run(lambda: shared.looks.look(place))

    glances: reactive.Value[int] = reactive.Value(0, name="glances")

    @reactive.effect
    def _glance() -> None:  # alone: what else would call it off prints a trace of Shiny's own
        reactive.invalidate_later(REFRESHED)
        with reactive.isolate():
            glances.set(glances() + 1)

    @reactive.effect
    def _begin() -> None:
        place = sitting.place()
        sitting.refitted()
        if place.as_of is None:
            glances()
        find.cancel()
        find(place)

    @reactive.effect
    def _end() -> None:
        status = find.status()
        if status == "success":
            _found(sitting, find.value())
        elif status == "error":
            sitting.look.set(None)
            error = find.error()
            sitting.problem.set(PRESS if isinstance(error, NotPublished) else in_words(error))


def _found(sitting: Sitting, look: Look) -> None:
    with reactive.isolate():
        before, place = sitting.look(), sitting.place()
    sitting.problem.set("")
    sitting.look.set(look)
    if place.as_of is None and before is not look:  # a refit has brought a session
        session = look.tool.prices.session
        ui.update_date("as_of", min=str(session[0]), max=str(session[-1]), value=str(session[-1]))


def _tell(sitting: Sitting, output: Outputs) -> None:
    """Say what is looked at, and what is the matter where nothing is to be seen."""

    @output(id="look_title")
    @render.ui
    def _title() -> Tag:
        look, place = sitting.look(), sitting.place()
        if look is not None:
            return heading(look.tool)
        return ui.h1(place.symbol if place.as_of is None else f"{place.symbol} as of {place.as_of}")

    @output(id="look_status")
    @render.ui
    def _status() -> Tag | None:
        matters = [each for each in (sitting.refused(), sitting.problem()) if each]
        if matters:
            return ui.div(*(ui.p(each, class_="problem") for each in matters))
        if sitting.look() is not None:
            return None
        day = sitting.place().as_of
        waits = "" if day is None else f" as of {day}; a session that nobody has looked at takes"
        return ui.p(f"forming the belief{waits}{'' if day is None else ' some ten seconds'}")

    @output(id="look_standing")
    @render.ui
    def _standing() -> Tag:
        return standing_line(_seen(sitting).tool)


def _seen(sitting: Sitting) -> Look:
    """What is seen; where there is nothing its place stays empty."""
    look = sitting.look()
    req(look)
    assert look is not None  # or `req` had stopped here
    return look


def heading(tool: ForecastTool) -> Tag:
    """The page's first line.

    Args:
        tool: what is looked at.
    """
    prices = tool.prices
    return ui.h1(f"{prices.name} ({prices.symbol}) as of {prices.as_of}")


def standing_line(tool: ForecastTool) -> Tag:
    """Prices and model, and how old they are.

    Args:
        tool: what is looked at.
    """
    _, *rest = looking.standing_words(tool)  # the first says what the heading says
    return ui.p(" ".join(rest), class_="quiet")


def _offer_what_came(sitting: Sitting, output: Outputs) -> None:
    """Ask anew for each session: nothing that came after is shown unasked."""

    @output
    @render.ui
    def came_box() -> Tag | None:
        past = sitting.place().as_of is not None
        return ui.input_checkbox(_box(sitting), "Show what came after") if past else None


def _box(sitting: Sitting) -> str:
    """Name of the box of this visit: ticked at another, it says nothing about this one."""
    return f"came_{sitting.visit()}"


def _mark(sitting: Sitting, inputs: Inputs, output: Outputs) -> None:
    refused: reactive.Value[str] = reactive.Value("", name="refused")

    @reactive.effect
    @reactive.event(inputs.mark)
    def _mark_day() -> None:
        day, look = inputs.target(), sitting.look()
        try:
            if look is None:
                raise UsageError(NO_FORECAST)
            if day is None:
                raise UsageError(NO_TARGET)
            sitting.target.set(target_session(np.datetime64(day, "D"), look.tool.prices.as_of))
            refused.set("")
        except BeliefError as error:
            refused.set(str(error).replace("target_date", "the day", 1))

    @reactive.effect
    def _name_day() -> None:
        target = sitting.target()
        sitting.view.set(None)  # it was of another day
        ui.update_date("target", value="" if target is None else str(target))

    @output
    @render.ui
    def mark_told() -> Tag | None:
        return ui.p(refused(), class_="problem") if refused() else None


def _name_place(sitting: Sitting) -> None:
    """Have the address lead to what is looked at, when it is loaded again or sent to somebody."""

    @reactive.effect
    @reactive.event(sitting.place, ignore_init=True)
    async def _name() -> None:
        place, session = sitting.place(), get_current_session()
        day = {} if place.as_of is None else {"as_of": str(place.as_of)}
        query = urlencode({"symbol": place.symbol, **day})
        assert session is not None  # effects have one
        await session.bookmark.update_query_string(f"?{query}")


class Wanted(NamedTuple):
    """A picture of the forecast with more in it than what everybody sees."""

    look: Look
    target: np.datetime64 | None
    came: bool
    view: View | None


def _wanted(sitting: Sitting, inputs: Inputs) -> Wanted | None:
    """What is to be in the picture of what is looked at; None for nothing more."""
    look, place, target = sitting.look(), sitting.place(), sitting.target()
    ticked = inputs[_box(sitting)]
    came = place.as_of is not None and ticked.is_set() and bool(ticked())
    if look is None:
        return None
    if target is not None and target <= look.tool.prices.as_of:
        target = None  # new sessions have come, and it is among them
    if target is None and not came:
        return None
    return Wanted(look, target, came, None if target is None else sitting.view())


def _show_forecast(sitting: Sitting, inputs: Inputs, output: Outputs) -> None:
    shared = sitting.shared
    wanted: reactive.Value[Wanted | None] = reactive.Value(None, name="wanted")

    @reactive.extended_task
    async def draw(more: Wanted) -> tuple[Wanted, str]:
        look, target, came, view = more
        return more, await shared.drawing.run(
            lambda: shared.looks.forecast(look.tool, target, came=came, view=view)
        )

    @reactive.effect
    def _begin() -> None:
        more = _wanted(sitting, inputs)
        wanted.set(more)
        draw.cancel()
        if more is not None:
            draw(more)

    @reactive.effect
    def _fail() -> None:
        if draw.status() == "error":
            sitting.problem.set(in_words(draw.error()))

    @output(id="look_forecast")
    @render.ui
    def _forecast() -> HTML:
        if draw.status() == "success":
            more, drawn = draw.value()
            if more is wanted():  # and not what was wanted before
                return HTML(drawn)
        return HTML(_seen(sitting).sections["forecast"])


def _show_section(sitting: Sitting, name: str, output: Outputs) -> None:
    @output(id=f"look_{name}")
    @render.ui
    def _section() -> HTML:
        return HTML(_seen(sitting).sections[name])
