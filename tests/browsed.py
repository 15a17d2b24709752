"""Browsers on the page: a server in this process, and what is seen and heard of it.

with page_server(Model(says)) as served:
    visit = visiting(served.url)
    visit.ask("Where will Nvidia be at the end of July 2024?")
    assert visit.answer.locator(".answer-receipt").is_visible()
"""

import contextlib
import json
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.resources import files
from urllib.parse import urlsplit

from chat_server import Request, Script, chat_server, paced, stream, structured, text, tool_call
from daily import evening
from doors import serving
from playwright.sync_api import Page, expect
from published import FIRST

from belief_tools.forecast_tool import NAME
from belief_tools.page_access import PageAccess
from belief_tools.serving import Asked
from belief_tools.shared_desk import SharedDesk
from belief_tools.web import application
from belief_tools.web_state import Shared

PATIENCE = 20.0  # seconds
TARGET = "2024-07-31"
QUESTION = "What will Nvidia cost at the end of July 2024?"
PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 900}
expect.set_options(timeout=1000 * PATIENCE)
IS_IDLE = "html:not(.shiny-busy) .shiny-bound-output"


# The server


@dataclass(frozen=True)
class Served:
    """A page that is served, and what is behind it."""

    url: str
    shared: Shared


@contextlib.contextmanager
def page_server(connect, *, day=FIRST, token=None):
    """Serve the page as `belief serve` does, on the evening of a day.

    Args:
        connect: gives the language model.
        day: the session that has just closed.
        token: what visitors must know; None for nothing.
    """
    now = lambda: evening(day)  # noqa: E731
    asked = Asked(None, None, None, "belief", False, now(), may_fit=False)
    shared = Shared(SharedDesk(asked, now), connect, now)
    with serving(PageAccess(application(shared), host="127.0.0.1", token=token)) as url:
        yield Served(url, shared)


@contextlib.contextmanager
def talking_server(script: Script, **kwargs):
    """The same with a language model that answers by a script."""
    with chat_server(script) as model, page_server(model.endpoint, **kwargs) as served:
        yield served


def without_model():
    raise AssertionError("no language model is to be asked")


# Language models


def speaks(says: Callable[[Request], str] | None = None, *, target=TARGET, pause=0.0) -> Script:
    """A model that calls the tool and then speaks, word by word.

    Args:
        says: its words; None for those of the tool.
        target: the day it asks the tool about.
        pause: seconds between two words.
    """
    said = summary if says is None else says
    own = {"price": 1.0, "low": 0.5, "high": 2.0, "prob_up": 0.5, "reasons": "none"}

    def answer(request: Request):
        if request.forced_tool is not None:
            called = {"symbol": "NVDA", "target_date": target, "price_levels": None}
            return tool_call(NAME, called)
        if request.schema_name is not None:
            return structured(own)
        words = said(request)
        if not request.body.get("stream"):
            return text(words)
        return paced(stream(*re.findall(r"\s*\S+", words)), pause)

    return answer


def summary(request: Request) -> str:
    """What the tool said last."""
    return f"{json.loads(request.tool_results[-1])['summary']}."


class Model:
    """A language model whose words and troubles are those of the test that runs."""

    def __init__(self):
        self.become()

    def become(self, says=None, *, pause=0.0, failure=None):
        self.asked = []
        self._answer, self._failure = speaks(says, pause=pause), failure

    def __call__(self, request):
        if request.forced_tool is not None:
            self.asked.append(request.messages[-1]["content"])
        return self._failure or self._answer(request)


# The browser


@contextlib.contextmanager
def chromium():
    from playwright.sync_api import sync_playwright

    found = shutil.which("chromium")
    assert found, "these tests open the page in Chromium; install it (Debian: apt install chromium)"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


@dataclass(eq=False)
class Visit:
    """One visitor: a browser with cookies of its own, and one page in it.

    Attributes:
        page: what the visitor looks at.
        url: of the server.
        problems: errors of the console and of scripts, requests that failed or left the server.
        frames: what came over websockets.
        responses: what came otherwise.
    """

    page: Page
    url: str
    problems: list[str] = field(default_factory=list)
    frames: list[str | bytes] = field(default_factory=list)
    responses: list = field(default_factory=list)

    def __post_init__(self):
        self.page.set_default_timeout(1000 * PATIENCE)
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.problems.append(f"script: {error}"))
        self.page.on("requestfailed", self._fail)
        self.page.on("request", self._leave)
        self.page.on("response", self._receive)
        self.page.on("websocket", lambda ws: ws.on("framereceived", self._hear_of))

    def _hear(self, said):
        if said.type == "error":
            self.problems.append(f"console: {said.text}")

    def _hear_of(self, frame):
        self.frames.append(frame)

    def _fail(self, request):
        self.problems.append(f"failed: {request.url} {request.failure}")

    def _leave(self, request):
        asked = urlsplit(request.url)
        if asked.scheme != "data" and asked.netloc != urlsplit(self.url).netloc:
            self.problems.append(f"elsewhere: {request.url}")

    def _receive(self, response):
        self.responses.append(response)
        if response.status >= 400:
            self.problems.append(f"{response.status}: {response.url}")

    # Going about

    def open(self, query=""):
        """Open the page and wait until it is whole."""
        self.page.goto(self.url + query)
        self.page.locator(IS_IDLE).first.wait_for()
        expect(self.editor).to_be_editable()
        return self

    def looks(self, day):
        """Wait until a session is shown with all that belongs to it."""
        expect(self.page.locator("h1")).to_contain_text(f"as of {day}")
        for part in ("forecast", "belief", "regimes", "record"):
            self.page.locator(f".place.{part} section").wait_for()
        self.settle()

    def settle(self):
        """Wait until nothing is drawn or computed any more."""
        until(lambda: not self.page.locator("html.shiny-busy, .recalculating").count())

    def pick(self, day):
        """Type a day, as a person does: the calendar follows every key."""
        self.day.press("Control+a")
        self.day.press_sequentially(day)
        self.day.press("Enter")

    def ask(self, question=QUESTION):
        """Ask, and wait for the whole answer."""
        asked = self.questions.count()
        self.send(question)
        expect(self.questions).to_have_count(asked + 1)
        self.wait_for_answer()

    def send(self, question=QUESTION):
        """Ask."""
        self.editor.fill(question)
        self.editor.press("Enter")

    def wait_for_answer(self):
        """Wait until the last question has its whole answer, in the ledger or in vain."""
        until(lambda: self.answers.count() == self.questions.count())
        self.answer.locator(".answer-place, .answer-problem").first.wait_for()
        self.page.locator("#chat .shiny-chat-input:not(.disabled)").wait_for()
        self.settle()

    # What is there

    @property
    def day(self):
        return self.page.get_by_label("As of", exact=True)

    @property
    def editor(self):
        return self.page.locator("#chat [contenteditable]")

    @property
    def answers(self):
        return self.page.locator("#chat .answer")

    @property
    def answer(self):
        """The last one."""
        return self.answers.last

    @property
    def questions(self):
        return self.page.locator("#chat .shiny-chat-user-message")

    def text(self, selector):
        """Words of a part of the page, seen or folded, without the layout."""
        found = self.page.locator(selector).evaluate_all("all => all.map(e => e.textContent)")
        return " ".join(" ".join(found).split())


def until(reached, patience=PATIENCE):
    """Wait for something that no locator tells; gives what it gives."""
    deadline = time.monotonic() + patience
    while not (found := reached()):
        assert time.monotonic() < deadline, "it does not happen"
        time.sleep(0.02)
    return found


# Accessibility


def findings(page: Page, impacts=("serious", "critical")) -> list[str]:
    """What axe finds amiss; the page must have been opened in a context that lets scripts in."""
    source = files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8")
    page.evaluate(source)
    found = page.evaluate("axe.run(document, {preload: false})")["violations"]
    return [
        f"{each['impact']} {each['id']}: {node['html'][:200]}"
        for each in found
        if each["impact"] in impacts
        for node in each["nodes"]
    ]
