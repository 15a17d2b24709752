"""Fixtures that several files share because they are slow to make."""

import os

import numpy as np
import pytest

from belief.models import DEFAULT_MODEL, fit
from belief.prices import Prices
from belief.sources import load_prices
from belief_tools.forecast_tool import ForecastTool


@pytest.fixture(scope="session", autouse=True)
def own_store(tmp_path_factory: pytest.TempPathFactory) -> None:
    """No test reads or writes the store of whoever runs it."""
    os.environ["BELIEF_STORE"] = str(tmp_path_factory.mktemp("store") / "belief.db")


@pytest.fixture(scope="session")
def prices() -> Prices:
    """The bundled prices as known on Friday 2024-03-01."""
    return load_prices("NVDA").until(np.datetime64("2024-03-01"))


@pytest.fixture(scope="session")
def tool(prices: Prices) -> ForecastTool:
    return ForecastTool(prices, fit(DEFAULT_MODEL, prices), None)


@pytest.fixture
def where(tmp_path, monkeypatch):
    """The place of a store with a model of Nvidia in service."""
    from published import FIRST, fitted_through, put_in_service

    path = tmp_path / "belief.db"
    monkeypatch.setenv("BELIEF_STORE", str(path))
    put_in_service(path, *fitted_through(FIRST))
    return path


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """The same for a whole file."""
    from published import FIRST, fitted_through, put_in_service

    path = tmp_path_factory.mktemp("kept") / "belief.db"
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("BELIEF_STORE", str(path))
        put_in_service(path, *fitted_through(FIRST))
        yield path


@pytest.fixture(scope="module")
def browser():
    """Chromium, for one file at a time: while it runs, its loop is the one of this thread."""
    from browsed import chromium

    with chromium() as started:
        yield started


@pytest.fixture
def visiting(browser):
    """Gives visitors of a server, each with a browser of its own; none may see a problem."""
    from browsed import DESK, Visit

    visits, contexts = [], []

    def visit(url, *, viewport=DESK, same_as=None, **kwargs):
        context = same_as or browser.new_context(viewport=viewport, **kwargs)
        contexts.append(context)
        visits.append(Visit(context.new_page(), url))
        return visits[-1]

    yield visit
    problems = [problem for each in visits for problem in each.problems]
    for each in contexts:
        each.close()
    assert problems == []
