"""Where what stands on the page: one document, written anew for everyone who opens it."""

from collections.abc import Mapping
from importlib.resources import files
from typing import Final, NamedTuple

from htmltools import HTML, HTMLTextDocument, Tag, TagList
from shiny import ui

from belief_tools.report_page import DARK, LIGHT, STYLE_OF_SECTIONS

STYLE: Final = (
    f":root {{ {LIGHT} }}\n[data-bs-theme=dark] {{ {DARK} }}\n"
    f".looking {{ {STYLE_OF_SECTIONS} }}\n"
    + files("belief_tools").joinpath("web.css").read_text("utf-8")
)
PLACEHOLDER: Final = '<meta name="shiny-dependency-placeholder" content="">'
INSTANCES: Final = (
    "What will the price be at the end of next month?",
    "How sure are you?",
    "How often were you right?",
)
MEANINGS: Final = {
    "median": "the price the close is as likely to be above as below; what is expected",
    "50 % and 90 % interval": "what holds the close with that chance, as much of the rest on "
    "either side",
    "volatility": "the standard deviation of the returns, as a rate for a year",
    "regime": "a group of volatilities, by how often the stock itself had lower ones before: calm "
    "(30 %), normal (to 75 %), turbulent (to 95 %), crisis",
    "belief": "how probable each regime is, given all prices so far",
    "static fit": "the same model with every session of the past counting alike, in place of "
    "recent ones counting more",
    "scheduled events": "the session that reacts to the company's results",
    "coverage": "how often the intervals held the close",
    "skill": "how much more probable the forecasts made what came than another model did, as the "
    "mean log score gained, in nats (.01 nats: 1 % more probable); with a 95 % interval that "
    "allows for forecasts that overlap",
    "random walk, GARCH-t": "the models compared with: the last close with an average volatility, "
    "and the usual model of a volatility that changes",
    "windows that do not overlap": "as many forecasts as are apart; those that share sessions tell "
    "little more than one of them",
    "reliability": "how often the close came at or below each quantile; outside the grey band the "
    "forecasts were off by more than chance explains",
}
SHINYS_OWN: Final = ("requirejs", "jquery", "shiny", "shiny-busy-indicators")  # it adds them
EMPTY_ICON: Final = "data:,"  # or a browser asks for a file of its own invention
SOURCES: Final = {"yahoo": "Yahoo Finance", "snapshot": "the bundled snapshot"}


class Opened(NamedTuple):
    """What the page shows when it is opened.

    Attributes:
        symbols: all that can be picked, each with its name.
        symbol: the one that is picked.
        first: the first session that can be picked, as ISO date.
        newest: the last one.
        as_of: the one that is picked.
        parts: what is drawn already, by name of its place: markup of `belief_tools.looks`.
        problem: what could not be shown as it was wanted; empty when all is.
        published: whether a model was seen to serve at the newest session.
        snapshot: whether a refit is to begin with the snapshot.
    """

    symbols: Mapping[str, str]
    symbol: str
    first: str
    newest: str
    as_of: str
    parts: Mapping[str, str]
    problem: str
    published: bool
    snapshot: bool


def document(opened: Opened) -> HTMLTextDocument:
    """The whole page.

    Args:
        opened: what it shows before anything is picked or asked.
    """
    content = TagList(
        ui.a("Skip to the question", href="#ask", class_="skip"),
        _head(opened),
        ui.tags.main(
            ui.p(opened.problem, class_="problem", role="alert") if opened.problem else None,
            _place("status", opened, role="status"),
            ui.div(
                ui.div(
                    _place("forecast", opened), _mark(), class_="looking", id="forecast-and-mark"
                ),
                _ask(),
                ui.div(
                    *(_place(name, opened) for name in ("belief", "regimes", "record")),
                    _meanings(),
                    class_="looking",
                ),
                class_="columns",
            ),
        ),
        ui.div(
            "The connection to the server was lost. ",
            ui.a("Load the page again", href=""),
            ". The conversation is kept for as long as the server runs.",
            class_="lost",
            role="alert",
        ),
    )
    return _as_document(ui.page_fluid(content, lang="en"))


def _as_document(page: Tag) -> HTMLTextDocument:
    """Shiny would put a page that is a function's inside another one."""
    inner = TagList(*page.children).render()
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>belief</title><link rel="icon" href="{EMPTY_ICON}">{PLACEHOLDER}'
        f"<style>{STYLE}</style>"
    )
    return ui.page_html(
        f'<!DOCTYPE html><html lang="en"><head>{head}</head><body>{inner["html"]}</body></html>',
        extra_deps=[each for each in inner["dependencies"] if each.name not in SHINYS_OWN],
        deps_replace_pattern=PLACEHOLDER,
    )


def _place(name: str, opened: Opened, **attributes: str) -> Tag:
    """A place on the page, with what is drawn already: it is there before anything is connected."""
    output = ui.output_ui(f"look_{name}")
    output.append(HTML(opened.parts.get(name, "")))
    return ui.div(output, class_=f"place {name}", **attributes)


def _head(opened: Opened) -> Tag:
    return ui.tags.header(
        _place("title", opened),
        _place("standing", opened),
        ui.div(
            ui.input_select("symbol", "Symbol", dict(opened.symbols), selected=opened.symbol),
            ui.input_date(
                "as_of", "As of", value=opened.as_of, min=opened.first, max=opened.newest
            ),
            ui.div(
                ui.input_action_button("earlier", "Session before"),
                ui.input_action_button("later", "Session after"),
                ui.input_action_button("newest", "Newest"),
                class_="steps",
                role="group",
                aria_label="Sessions",
            ),
            ui.output_ui("came_box"),
            ui.input_dark_mode(id="mode"),
            class_="controls",
        ),
        _refit(opened),
    )


def _mark() -> Tag:
    """The target asked about, and a view of it."""
    return ui.div(
        ui.div(
            ui.input_date("target", "Target day to mark", value=""),
            ui.input_action_button("mark", "Mark"),
            class_="controls",
        ),
        ui.div(ui.output_ui("mark_told"), role="status"),
        ui.tags.details(
            ui.tags.summary("My view of that day"),
            ui.tags.p(
                "Your own view is written to the ledger, scored when its day has passed, and "
                "drawn beside the belief. Prices in dollars of the newest session, which alone "
                "takes views: what came of a past one is known."
            ),
            ui.div(
                ui.input_text("view_low", "Low: 5 % chance below"),
                ui.input_text("view_median", "Median: as likely above as below"),
                ui.input_text("view_high", "High: 5 % chance above"),
                ui.input_text("view_confidence", "Weight beside the belief, 0 to 1", "0.5"),
                ui.input_text("view_note", "Why"),
                class_="controls",
            ),
            ui.input_action_button("view", "Record my view"),
            ui.div(ui.output_ui("view_told"), role="status"),
        ),
        class_="marking",
    )


def _ask() -> Tag:
    return ui.tags.section(
        ui.h2("Ask"),
        ui.div(ui.output_ui("asked_as_of"), class_="quiet"),
        ui.chat_ui(
            "chat",
            greeting=_greeting(),
            placeholder="Ask about a price",
            height="min(44rem, 80vh)",
            show_history=False,
        ),
        ui.input_action_button("anew", "New conversation"),
        class_="ask",
        id="ask",
        tabindex="-1",
        aria_label="Ask",
    )


def _greeting() -> TagList:
    return TagList(
        ui.p(
            "Ask in English about a price to come, one that was, or how good the forecasts were. "
            "The language model consults the belief first, and every figure in its text is checked "
            "against it. For instance:"
        ),
        ui.tags.ul(*(ui.tags.li(ui.span(each, class_="suggestion submit")) for each in INSTANCES)),
    )


def _meanings() -> Tag:
    told = ((ui.tags.dt(word), ui.tags.dd(meaning)) for word, meaning in MEANINGS.items())
    return ui.tags.details(
        ui.tags.summary("What the words mean"),
        ui.tags.dl(*(each for pair in told for each in pair)),
    )


def _refit(opened: Opened) -> Tag:
    return ui.tags.details(
        ui.tags.summary("Refit the model"),
        ui.div(
            ui.input_select(
                "source",
                "Prices from",
                SOURCES,
                selected="snapshot" if opened.snapshot else "yahoo",
            ),
            ui.input_action_button("refit", "Refit now"),
            class_="controls",
        ),
        ui.div(ui.output_ui("refit_told"), role="status"),
        ui.tags.p(
            "New sessions are fetched and checked, and the model that is fitted to them is "
            "published if it passes its tests. belief refit SYMBOL does the same, and brings in "
            "other symbols.",
            class_="quiet",
        ),
        open=None if opened.published else "",
    )
