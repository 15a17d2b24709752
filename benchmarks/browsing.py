"""What the benchmarks of the page share: its server, browsers, and what goes wrong in them.

The page is looked at as people do, by what can be seen: its policy lets no foreign script run in
it.
"""

import contextlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from playwright.async_api import Browser, BrowserContext, Locator, Page, async_playwright, expect

BELIEF = [sys.executable, "-m", "belief_tools.cli"]
SERVING = re.compile(r"serving the page at (\S+)\n")
START_WITHIN = 120.0  # seconds
END_WITHIN = 20.0
SEEN_WITHIN = 60_000.0  # milliseconds
WINDOW = {"width": 1280, "height": 900}
FAN, CONNECTED = "#forecast svg", "#asked_as_of p"  # there at once; there once it is connected


class Served(NamedTuple):
    """A server of the page.

    Attributes:
        url: of the page.
        process: the server's.
        log: what it says.
        started: seconds until it could be reached.
    """

    url: str
    process: "subprocess.Popen[bytes]"
    log: Path
    started: float

    def told(self) -> list[str]:
        """Warnings and errors of its log."""
        lines = self.log.read_text("utf-8").splitlines()
        return [line for line in lines if line.startswith("belief: ")]

    def memory(self) -> float:
        """Megabytes of memory that it holds."""
        status = Path(f"/proc/{self.process.pid}/status").read_text("ascii")
        return int(re.findall(r"VmRSS:\s+(\d+) kB", status)[0]) / 1024.0


@contextlib.contextmanager
def served(environ: Mapping[str, str]) -> Iterator[Served]:
    """The page, served by a process of its own.

    Args:
        environ: names the store.
    """
    with tempfile.TemporaryDirectory() as folder:
        log, begun = Path(folder) / "log", time.perf_counter()
        with log.open("wb") as written:
            process = subprocess.Popen(
                [*BELIEF, "serve", "--port", "0"], env=dict(environ), stderr=written
            )
        try:
            url = _address(process, log)
            yield Served(url, process, log, time.perf_counter() - begun)
        finally:
            process.terminate()
            process.wait(END_WITHIN)


def _address(process: "subprocess.Popen[bytes]", log: Path) -> str:
    deadline = time.perf_counter() + START_WITHIN
    while time.perf_counter() < deadline and process.poll() is None:
        if told := SERVING.search(log.read_text("utf-8")):
            return told[1]
        time.sleep(0.02)
    raise SystemExit(f"the page is not served: {log.read_text('utf-8')}")


@contextlib.asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """A browser without a window."""
    found = shutil.which("chromium")
    if found is None:
        raise SystemExit("this opens pages in Chromium; install it (Debian: apt install chromium)")
    expect.set_options(timeout=SEEN_WITHIN)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            await browser.close()


class Complaints:
    """What browsers complain of while they show the page."""

    def __init__(self) -> None:
        """Begin with none."""
        self.console: list[str] = []
        self.requests: list[str] = []

    def listen(self, context: BrowserContext) -> None:
        """Write down what goes wrong in a browser.

        Args:
            context: cookies and pages of one person.
        """
        context.set_default_timeout(SEEN_WITHIN)
        context.on("weberror", lambda error: self.console.append(str(error.error)))
        context.on(
            "console",
            lambda told: self.console.append(told.text) if told.type == "error" else None,
        )
        context.on(
            "requestfailed",
            lambda request: self.requests.append(f"{request.url}: {request.failure}"),
        )
        context.on(
            "response",
            lambda came: (
                self.requests.append(f"{came.url}: {came.status}") if came.status >= 400 else None
            ),
        )


async def opened(page: Page, url: str) -> None:
    """Open the page, and wait until it is connected.

    Args:
        page: of a browser.
        url: of the page.
    """
    await page.goto(url, wait_until="commit")
    await page.wait_for_selector(CONNECTED)


def answers(page: Page) -> Locator:
    """The answers that are complete, oldest first: those with their place in the ledger.

    Args:
        page: that is connected.
    """
    return page.locator("#chat .answer:has(.answer-place)")


async def settled(page: Page, day: str, said: int) -> None:
    """Wait until the conversation as of a session is shown.

    Args:
        page: that is connected.
        day: ISO date of the session.
        said: answers in it.
    """
    await expect(answers(page).filter(has_text=f"as of {day}")).to_have_count(said)


async def ask(page: Page, question: str) -> tuple[str, float]:
    """Ask, and wait until the answer is complete.

    Args:
        page: that shows the whole conversation so far.
        question: as a person writes it.

    Returns:
        All that is said of it, and the seconds that it took.
    """
    before = await answers(page).count()
    box = page.locator("#chat [contenteditable], #chat textarea").last
    await box.fill(question)
    begun = time.perf_counter()
    await box.press("Enter")
    answer = answers(page).nth(before)
    await answer.wait_for()
    taken = time.perf_counter() - begun
    return await answer.inner_text(), taken


async def pick(page: Page, day: str) -> None:
    """Pick a session, as somebody who types its date, and wait until it is shown.

    Args:
        page: that is connected.
        day: ISO date of a session.
    """
    await page.click("#as_of input")
    await page.keyboard.press("Control+A")
    await page.keyboard.type(day)
    await page.keyboard.press("Enter")
    await page.keyboard.press("Tab")
    await page.wait_for_selector(f"h1:has-text('as of {day}')")
    await page.wait_for_selector(f"{CONNECTED}:has-text('{day}')")
