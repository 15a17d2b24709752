"""Draw the pictures of the page that the README shows: docs/page.png and docs/page-phone.png.

The page is served from the bundled snapshot by a process of its own, asked a question that the
local language model answers, and photographed: in a wide window in the light, and on a phone in the
dark.

    python benchmarks/page_pictures.py [--to FOLDER]
"""

import argparse
import asyncio
import io
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from browsing import BELIEF, FAN, ask, chromium, opened, served
from PIL import Image
from playwright.async_api import Browser, Page

QUESTION = "What will Nvidia's stock price be at the end of March 2025?"
DOCS = Path(__file__).parent.parent / "docs"
LOOKS = {
    "page.png": {"viewport": {"width": 1440, "height": 1000}, "color_scheme": "light"},
    "page-phone.png": {"viewport": {"width": 390, "height": 1300}, "color_scheme": "dark"},
}
COLOURS = 255  # of a picture; more would hardly be seen
DRAWN = 3_000.0  # milliseconds in which the target is marked, and the chat comes to rest


async def photographed(browser: Browser, url: str, look: dict) -> bytes:
    context = await browser.new_context(device_scale_factor=1, **look)
    page = await context.new_page()
    await opened(page, url)
    await page.wait_for_selector(FAN)
    await ask(page, QUESTION)
    await page.get_by_text("asked about: 2025-03-31").first.wait_for(state="attached")
    await page.wait_for_timeout(DRAWN)
    await begin_of(page)
    taken = await page.screenshot()
    await context.close()
    return taken


async def begin_of(page: Page) -> None:
    """Have the beginning of the page and of the answer in view."""
    await page.locator("#chat .answer").last.evaluate("each => each.scrollIntoView()")
    await page.evaluate("window.scrollTo(0, 0)")


async def draw(url: str, folder: Path) -> None:
    async with chromium() as browser:
        for name, look in LOOKS.items():
            taken = await photographed(browser, url, look)
            smaller = Image.open(io.BytesIO(taken)).convert("RGB").quantize(COLOURS)
            smaller.save(folder / name, optimize=True)
            print(f"{name}: {(folder / name).stat().st_size / 1e3:.0f} kB")


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    asked.add_argument("--to", type=Path, default=DOCS)
    to = asked.parse_args().to
    with tempfile.TemporaryDirectory() as folder:
        store = {"BELIEF_STORE": str(Path(folder) / "belief.db")}
        environ = {**os.environ, **store}
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        subprocess.run([*BELIEF, "refit", "--snapshot"], env=environ, check=True, **quiet)
        with served(environ) as server:
            asyncio.run(draw(server.url, to))


if __name__ == "__main__":
    sys.exit(main())
