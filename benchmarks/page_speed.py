"""Time how long a person waits for the page, from a published model.

A model is published into a store of its own and the page served by a process of its own. A browser
without a cache opens the newest session, whose pictures are in the page that is served; its peer,
in turns with it, opens a session of the past that was looked at by nobody since the server began,
whose pictures come once it is connected and its belief is formed. The median of several is printed,
and the ratio of the two; the first must be the faster one, and what is served must hold the fan.

    python benchmarks/page_speed.py [--rounds N]
"""

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from browsing import BELIEF, CONNECTED, FAN, WINDOW, chromium, served
from playwright.async_api import Browser

DAYS = ("2024-03-01", "2023-06-01", "2022-09-01", "2021-12-01", "2020-03-20", "2019-05-03")


async def waited(browser: Browser, url: str) -> tuple[float, float]:
    """Open the page with nothing in the cache.

    Returns:
        Seconds until the fan is seen, and until the page is connected.
    """
    context = await browser.new_context(viewport=WINDOW)
    page = await context.new_page()
    page.set_default_timeout(120_000)
    begun = time.perf_counter()
    await page.goto(url, wait_until="commit")
    await page.wait_for_selector(FAN)
    seen = time.perf_counter() - begun
    await page.wait_for_selector(CONNECTED)
    connected = time.perf_counter() - begun
    await context.close()
    return seen, connected


async def timed(url: str, rounds: int) -> tuple[list[tuple[float, float]], list[float]]:
    async with chromium() as browser:
        await waited(browser, url)  # the browser itself has to load
        newest, past = [], []
        for day in DAYS[:rounds]:
            newest.append(await waited(browser, url))
            past.append((await waited(browser, f"{url}?as_of={day}"))[0])
        return newest, past


def main() -> int:
    asked = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    asked.add_argument("--rounds", type=int, default=len(DAYS), choices=range(1, len(DAYS) + 1))
    rounds = asked.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        where = {"BELIEF_STORE": str(Path(folder) / "belief.db"), "BELIEF_CACHE_DIR": folder}
        environ = {**os.environ, **where}
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        subprocess.run([*BELIEF, "refit", "--snapshot"], env=environ, check=True, **quiet)
        with served(environ) as server:
            with urllib.request.urlopen(server.url) as answer:
                page = answer.read()
            newest, past = asyncio.run(timed(server.url, rounds))
            started = server.started
    seen, connected = (statistics.median(each) for each in zip(*newest, strict=True))
    slower = statistics.median(past)
    print(f"the server is there after       {started:6.2f} s")
    print(f"the page it sends               {len(page) / 1e3:6.0f} kB")
    print(f"newest session: fan seen after  {seen:6.2f} s     1.0 x")
    print(f"                connected       {connected:6.2f} s   {connected / seen:5.1f} x")
    print(f"a past session: fan seen after  {slower:6.2f} s   {slower / seen:5.1f} x")
    return 0 if b"<svg" in page and seen < slower else 1


if __name__ == "__main__":
    sys.exit(main())
