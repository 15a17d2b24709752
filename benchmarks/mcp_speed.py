"""Time the tools of `belief mcp` as a client waits for them, from a published model.

A model is published into a store of its own, the server started as clients start it, and each tool
called through the official client. The first call of a server puts the model together; the next
asks about what was not asked before; the last repeats. Prints milliseconds, also as multiples of a
round trip that only lists the tools, taken in turns in the same run.

    python benchmarks/mcp_speed.py [--rounds N]
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import anyio
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client

BELIEF = [sys.executable, "-m", "belief_tools.cli"]
SYMBOL = "NVDA"
Arguments = tuple[dict[str, Any], dict[str, Any]]
CALLS: Mapping[str, Arguments] = {
    "forecast_price": (
        {"symbol": SYMBOL, "target_date": "2025-03-14", "price_levels": [150]},
        {"symbol": SYMBOL, "target_date": "2025-03-31", "price_levels": [150]},
    ),
    "forecast_price, a year ahead": (
        {"symbol": SYMBOL, "target_date": "2026-02-12", "price_levels": [150]},
        {"symbol": SYMBOL, "target_date": "2026-02-13", "price_levels": [150]},
    ),
    "belief_now": ({"symbol": SYMBOL}, {"symbol": SYMBOL}),
    "track_record": ({"symbol": SYMBOL}, {"symbol": SYMBOL, "horizon": 5}),
    "price_history": (
        {"symbol": SYMBOL, "first_date": "2024-01-02"},
        {"symbol": SYMBOL, "first_date": "2023-01-03"},
    ),
}
PLACES = ("first of a server", "first of its arguments", "again")


async def _milliseconds(work: Callable[[], Awaitable[Any]]) -> float:
    begun = time.perf_counter()
    result = await work()
    taken = 1000.0 * (time.perf_counter() - begun)
    if getattr(result, "is_error", False):
        raise SystemExit(f"a tool failed: {result.content[0].text}")
    return taken


async def one_server(
    name: str, arguments: Arguments, environ: Mapping[str, str]
) -> tuple[list[float], float]:
    """Start a server and call one tool.

    Args:
        name: of the tool.
        arguments: of the first call, and of the others.
        environ: names the store.

    Returns:
        Milliseconds of each of `PLACES`, and of a round trip.
    """
    command, *rest = [*BELIEF, "mcp"]
    parameters = StdioServerParameters(command=command, args=rest, env=dict(environ))
    first, second = arguments
    async with Client(stdio_client(parameters)) as client:
        await client.list_tools()
        trips = [await _milliseconds(client.list_tools) for _ in range(5)]
        asked = (first, second, second)
        taken = [
            await _milliseconds(lambda each=each: client.call_tool(name, each)) for each in asked
        ]
    return taken, statistics.median(trips)


def measure(
    environ: Mapping[str, str], rounds: int, calls: Mapping[str, Arguments] = CALLS
) -> dict[str, list[float]]:
    """Median milliseconds of each tool at each of `PLACES`, and of a "round trip".

    Args:
        environ: names a store with a published model.
        rounds: servers started for each tool, in turns.
        calls: arguments of each tool; what follows a comma only tells calls apart.
    """
    taken: dict[str, list[list[float]]] = {called: [] for called in calls}
    trips = []
    for _ in range(rounds):
        for called, arguments in calls.items():
            name = called.partition(",")[0]
            milliseconds, trip = anyio.run(one_server, name, arguments, environ)
            taken[called].append(milliseconds)
            trips.append(trip)
    medians = {
        called: [statistics.median(place) for place in zip(*all_calls, strict=True)]
        for called, all_calls in taken.items()
    }
    return {"round trip": [statistics.median(trips)], **medians}


def main() -> None:
    """Publish, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        environ = os.environ | {"BELIEF_STORE": str(Path(folder) / "belief.db")}
        subprocess.run(
            [*BELIEF, "refit", "--snapshot"], check=True, env=environ, stdout=subprocess.DEVNULL
        )
        medians = measure(environ, rounds)
    [trip] = medians.pop("round trip")
    print(f"{'listing the tools':<30} {trip:8.1f} ms")
    print(f"{'':<30} {'':>3}{f'{PLACES[0]:>23}{PLACES[1]:>26}{PLACES[2]:>18}'}")
    for called, places in medians.items():
        cells = "".join(f"{each:12.0f} ms {each / trip:5.0f} x" for each in places)
        print(f"{called:<30} {cells}")


if __name__ == "__main__":
    main()
