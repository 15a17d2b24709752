"""What is looked at when a symbol and a day are picked, whoever picks them."""

import numpy as np
import pytest

from belief.errors import UnknownSymbol
from belief_tools import web_state
from belief_tools.looks import Place
from belief_tools.web_state import Shared


class Desk:
    """Prices of one symbol, and how often they were looked for."""

    def __init__(self, prices):
        self.prices, self.n_looked = prices, 0

    def uncut(self, symbol):
        self.n_looked += 1
        return self.prices

    def names(self):
        return {"NVDA": ("Nvidia",)}


@pytest.fixture
def desk(prices):
    return Desk(prices)


@pytest.fixture
def shared(desk):
    return Shared(desk, lambda: None, lambda: None)


def day(text):
    return np.datetime64(text, "D")


def test_the_newest_session_is_whichever_it_will_be(shared):
    for newest in (None, day("2024-03-01"), day("2024-03-02"), day("2099-01-01")):
        assert shared.place("NVDA", newest) == Place("NVDA", None)
    assert shared.session(Place("NVDA")) == day("2024-03-01")


def test_a_day_without_a_session_is_the_one_before_it(shared, prices):
    assert shared.place("NVDA", day("2024-02-19")) == Place("NVDA", day("2024-02-16"))  # a holiday
    assert shared.place("NVDA", day("1990-01-01")) == Place("NVDA", prices.session[0])


def test_steps_go_from_session_to_session_and_stay_among_them(shared, prices):
    past = Place("NVDA", day("2024-02-16"))
    assert shared.session(past, 1) == day("2024-02-20")
    assert shared.session(past, -1) == day("2024-02-15")
    assert shared.session(Place("NVDA"), 1) == day("2024-03-01")
    assert shared.session(Place("NVDA", prices.session[0]), -1) == prices.session[0]


def test_a_symbol_without_prices_is_named_beside_those_with(shared):
    assert shared.known(" nvda ") == "NVDA"
    with pytest.raises(UnknownSymbol, match="no prices of '<b>', only of NVDA"):
        shared.known("<b>")


def test_newer_prices_are_looked_for_once_in_a_while(shared, desk, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(web_state.time, "monotonic", lambda: now[0])
    for _ in range(5):
        shared.prices("NVDA")
    assert desk.n_looked == 1
    now[0] = web_state.FRESH + 0.1
    shared.prices("NVDA")
    assert desk.n_looked == 2
