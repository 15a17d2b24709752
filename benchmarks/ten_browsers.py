"""Ten people at once at one `belief serve`, each with a browser and a conversation of their own.

A model is published into a store of its own and the page served by a process of its own; a language
model of a script streams words that name who asks and what was asked. For minutes on end everyone
picks sessions, asks about days and levels of their own, unfolds the call, follows the link to the
ledger, and opens the page afresh; now and then somebody else only looks. At the end all is counted:
an answer that is not its asker's own, a complaint of a browser, a request that failed or a line of
the server's log ends the benchmark with 1.

    python benchmarks/ten_browsers.py [--minutes 5] [--browsers 10]
"""

import argparse
import asyncio
import dataclasses
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from playwright.async_api import Browser, BrowserContext, Error, Page

sys.path.append(str(Path(__file__).parent.parent / "tests"))

from browsing import (
    BELIEF,
    CONNECTED,
    FAN,
    WINDOW,
    Complaints,
    Served,
    answers,
    ask,
    chromium,
    opened,
    pick,
    served,
    settled,
)
from chat_server import KEY, MODEL, Answer, Request, chat_server, stream, structured, tool_call

from belief.sessions import session_after

ASKERS = (
    "Alder",
    "Birch",
    "Cedar",
    "Elder",
    "Hazel",
    "Ivy",
    "Larch",
    "Maple",
    "Rowan",
    "Willow",
)
DAYS = ("2025-02-14", "2025-02-13", "2024-03-01", "2020-03-20")  # the newest session first
ASKED = re.compile(r"above \$(\d+) on (\S+)\? (\w+) asks")
LOWEST_LEVEL, LEVELS = 100, 20  # dollars, and levels that each asks about
SHORTEST_WAY, LONGEST_WAY = 5, 60  # sessions to the days asked about
PAUSE = 0.05  # seconds between pieces of a streamed text
THINKS = 1.0  # seconds that a person looks at what came
LOOKS_EVERY = 5.0  # seconds between visits of somebody who only looks
MEMORY_EVERY = 5.0
MOST_GROWTH = 1.25  # of the memory after the first half, at the end
MOST_SHOWN = 10
SYMBOL = "NVDA"
FORECAST = re.compile(r"Forecast: (.*)")


@dataclass
class Tally:
    """What has happened.

    Attributes:
        questions: asked.
        answers: seconds to each.
        visits: seconds until somebody who only looks saw the chart.
        wrong: what was shown to whom it should not have been, or not shown to whom it should.
        complaints: of the browsers.
        told: lines of the server's log.
        memory: megabytes of the server, as time went by.
    """

    questions: int = 0
    answers: list[float] = field(default_factory=list)
    visits: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    complaints: Complaints = field(default_factory=Complaints)
    told: list[str] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)

    def faults(self) -> list[str]:
        """All that should not have happened."""
        return [*self.wrong, *self.complaints.console, *self.complaints.requests, *self.told]

    def growth(self) -> float:
        """Memory at the end as a multiple of the most there was in the first half."""
        return self.memory[-1] / max(self.memory[: (len(self.memory) + 1) // 2])


def scripted(request: Request) -> Answer:
    """A language model that calls the tool and repeats the forecast, and says who has asked.

    Args:
        request: of the page's server.
    """
    last = str(request.messages[-1]["content"])
    level, day, asker = ASKED.findall(last)[-1]
    if request.forced_tool is not None:
        called = {"symbol": SYMBOL, "target_date": day, "price_levels": [int(level)]}
        return tool_call(request.forced_tool, called)
    if request.schema_name is not None:
        price = float(level)
        own = {"price": price, "low": 0.8 * price, "high": 1.2 * price, "prob_up": 0.5}
        return structured({**own, "reasons": "as today"})
    forecast = FORECAST.findall(last)[0]
    pieces = [f"{asker} asks: ", *re.split("(?<=; )", forecast)]
    return dataclasses.replace(stream(*pieces), pause=PAUSE)


class Person:
    """Somebody with a browser of their own."""

    def __init__(self, number: int, context: BrowserContext, url: str, tally: Tally) -> None:
        """Sit down.

        Args:
            number: whose name and levels they have.
            context: cookies and pages of nobody else.
            url: of the page.
            tally: what happens is written there.
        """
        self.number, self.name = number, ASKERS[number]
        self.context, self.url, self.tally = context, url, tally
        self.said: dict[str, int] = {}
        self.asked = 0

    async def stay(self, days: Sequence[str], until: float) -> None:
        """Look and ask until it is late, but once at least.

        Args:
            days: sessions that are looked at.
            until: when it is late, as `time.perf_counter` has it.
        """
        page = await self.context.new_page()
        await opened(page, self.url)
        while self.asked == 0 or time.perf_counter() < until:
            day = days[(self.number + self.asked) % len(days)]
            try:
                page = await self._turn(page, day)
            except (Error, AssertionError) as error:
                self._complain(f"as of {day}: {str(error).splitlines()[0]}")
                page = await self._afresh(page, day)
            await asyncio.sleep(THINKS)
        await page.close()

    async def _turn(self, page: Page, day: str) -> Page:
        """Go to a session and ask; every third time on a page that is opened afresh."""
        if self.asked % 3 == 2:
            page = await self._afresh(page, day)
        else:
            await pick(page, day)
        await settled(page, day, self.said.get(day, 0))
        await self._ask(page, day)
        await self._unfold(page)
        if self.asked % 3 == 1:
            await self._follow(page)
            await opened(page, self._address(day))
        return page

    async def _afresh(self, page: Page, day: str) -> Page:
        await page.close()
        page = await self.context.new_page()
        await opened(page, self._address(day))
        return page

    def _address(self, day: str) -> str:
        return f"{self.url}?symbol={SYMBOL}&as_of={day}"

    async def _ask(self, page: Page, day: str) -> None:
        level = LOWEST_LEVEL + len(ASKERS) * (self.asked % LEVELS) + self.number
        way = SHORTEST_WAY + (7 * self.asked + self.number) % (LONGEST_WAY - SHORTEST_WAY)
        target = str(session_after(np.datetime64(day), way))
        self.asked += 1
        self.tally.questions += 1
        self.said[day] = self.said.get(day, 0) + 1
        question = f"Will Nvidia be above ${level} on {target}? {self.name} asks."
        text, taken = await ask(page, question)
        self.tally.answers.append(taken)
        for words in (f"{self.name} asks: ", f"above ${level} on {target}", f"as of {day}"):
            if words not in text:
                self._complain(f"the answer to {question!r} lacks {words!r}: {text[:200]!r}")
        self._see_own(await page.locator("#chat").inner_text())

    async def _unfold(self, page: Page) -> None:
        call = answers(page).last.locator("details").last
        await call.locator("summary").click()
        if not await call.get_by_text("prob_above").is_visible():
            self._complain("a call does not unfold")

    async def _follow(self, page: Page) -> None:
        """Go to the answer's entry of the ledger."""
        await answers(page).last.locator(".answer-place a").click()
        await page.wait_for_url("**/ledger/*")
        text = await page.locator("body").inner_text()
        if f"{self.name} asks" not in text:
            self._complain(f"an entry of the ledger is of another question: {text[:200]!r}")
        self._see_own(text)

    def _see_own(self, text: str) -> None:
        """Look for others' names."""
        for other in ASKERS:
            if other != self.name and other in text:
                self._complain(f"{other} is seen: {text[:200]!r}")

    def _complain(self, fault: str) -> None:
        self.tally.wrong.append(f"{self.name}: {fault}")


async def look_in(browser: Browser, url: str, tally: Tally) -> None:
    """Come by now and then as somebody new, who only looks; until called off.

    Args:
        browser: of everyone.
        url: of the page.
        tally: what happens is written there.
    """
    while True:
        context = await browser.new_context(viewport=WINDOW)
        tally.complaints.listen(context)
        page = await context.new_page()
        begun = time.perf_counter()
        await page.goto(url, wait_until="commit")
        await page.wait_for_selector(FAN)
        tally.visits.append(time.perf_counter() - begun)
        await page.wait_for_selector(CONNECTED)
        if await answers(page).count():
            tally.wrong.append("somebody new sees answers")
        await context.close()
        await asyncio.sleep(LOOKS_EVERY)


async def weigh(server: Served, tally: Tally) -> None:
    """Write down the server's memory now and then; until called off.

    Args:
        server: of the page.
        tally: what it weighs is written there.
    """
    while True:
        tally.memory.append(server.memory())
        await asyncio.sleep(MEMORY_EVERY)


async def _browse(server: Served, minutes: float, n_browsers: int, days: Sequence[str]) -> Tally:
    tally = Tally()
    async with chromium() as browser:
        people = []
        for number in range(n_browsers):
            context = await browser.new_context(viewport=WINDOW)
            tally.complaints.listen(context)
            people.append(Person(number, context, server.url, tally))
        beside = [
            asyncio.create_task(look_in(browser, server.url, tally)),
            asyncio.create_task(weigh(server, tally)),
        ]
        until = time.perf_counter() + 60.0 * minutes
        await asyncio.gather(*(person.stay(days, until) for person in people))
        for task in beside:
            task.cancel()
        await asyncio.gather(*beside, return_exceptions=True)
    tally.memory.append(server.memory())
    tally.told = server.told()
    return tally


def run(
    minutes: float, n_browsers: int, environ: Mapping[str, str], days: Sequence[str] = DAYS
) -> Tally:
    """Serve the page, and let people look and ask.

    Args:
        minutes: until nobody begins another question.
        n_browsers: people, of `ASKERS`.
        environ: names a store with a published model.
        days: sessions they look at, the newest one first.
    """
    with chat_server(scripted) as model:
        told = {"OPENAI_BASE_URL": model.url, "OPENAI_API_KEY": KEY, "OPENAI_MODEL": MODEL}
        with served({**environ, **told}) as server:
            return asyncio.run(_browse(server, minutes, n_browsers, days))


def lines(tally: Tally) -> list[str]:
    """What is printed of it.

    Args:
        tally: of `run`.
    """
    complaints = tally.complaints
    counts = {
        "questions": tally.questions,
        "answers": len(tally.answers),
        "wrong, or shown to somebody else": len(tally.wrong),
        "complaints of the browsers": len(complaints.console),
        "requests that failed": len(complaints.requests),
        "warnings and errors of the server": len(tally.told),
        "visits of somebody who only looks": len(tally.visits),
    }
    return [
        *(f"{label:<36}{count:8,}" for label, count in counts.items()),
        _seconds("to an answer", tally.answers),
        _seconds("to the chart, for who only looks", tally.visits),
        f"{'memory of the server':<36}{tally.memory[0]:8.0f} MB at first, at most "
        f"{max(tally.memory):.0f} MB, {tally.memory[-1]:.0f} MB at the end "
        f"({tally.growth():.2f} of the first half's most)",
    ]


def _seconds(label: str, taken: Sequence[float]) -> str:
    middle = statistics.median(taken)
    return f"{label:<36}{middle:8.1f} s median, {max(taken):.1f} s at most"


def main() -> None:
    """Publish, let people look and ask, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--browsers", type=int, default=len(ASKERS))
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        environ = os.environ | {"BELIEF_STORE": str(Path(folder) / "belief.db")}
        subprocess.run(
            [*BELIEF, "refit", "--snapshot"], check=True, env=environ, stdout=subprocess.DEVNULL
        )
        tally = run(wanted.minutes, wanted.browsers, environ)
    print(*lines(tally), sep="\n")
    if faults := tally.faults():
        raise SystemExit("\n".join(["what should not have happened:", *faults[:MOST_SHOWN]]))
    if len(tally.answers) != tally.questions or tally.growth() > MOST_GROWTH:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
