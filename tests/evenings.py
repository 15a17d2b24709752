"""Evenings of a computer: its store, the server that plays its source, and refits of both."""

import functools
import tempfile
from pathlib import Path

import numpy as np
import pytest
from daily import belief, evening, short_history
from yahoo_server import YahooServer

from belief import refit as refitting_module
from belief import yahoo

FIRST, SECOND, THIRD = "2024-06-05", "2024-06-06", "2024-06-07"
LAST = "2024-06-14"  # of the history, which the source hands over day by day
HORIZONS = (1, 2)


def without_refit(path, server, history, patched):
    """A computer on which nothing was refitted yet; the path of its store."""
    server.prices, server.today = history, np.datetime64(FIRST)
    patched.setenv("BELIEF_STORE", str(path))
    patched.setenv(yahoo.ADDRESS, server.url)
    patched.setattr(refitting_module, "HORIZONS", HORIZONS)
    return path


@functools.cache
def first_refit():
    """The bytes of the store after the first evening's refit, and how that refit ended."""
    history = short_history(LAST)
    with (
        tempfile.TemporaryDirectory() as folder,
        YahooServer(history, today=FIRST) as server,
        pytest.MonkeyPatch.context() as patched,
    ):
        path = without_refit(Path(folder) / "belief.db", server, history, patched)
        finished = belief("refit", at=evening(FIRST))
        return path.read_bytes(), finished


def refit_on(server, day, *arguments):
    server.today = np.datetime64(day)
    return belief("refit", *arguments, at=evening(day))
