"""A model that remembers closes of the past is found to know them, one that does not is not."""

import json
import re

import numpy as np
import pytest
from chat_server import Answer, chat_server, failed, structured, text

from belief.sources import load_prices
from belief_tools.recall import NEAR, probe

ORIGINS = tuple(
    np.datetime64(day)
    for day in ("2016-01-04", "2018-06-01", "2021-07-01", "2021-07-20", "2024-06-07", "2024-06-10")
)
SPLITS = ((np.datetime64("2021-07-20"), 4.0), (np.datetime64("2024-06-10"), 10.0))


@pytest.fixture(scope="module")
def prices():
    return load_prices("NVDA")


def close_at(prices, day, as_of=None):
    """The close as quoted on its day, or in the dollars of a later one."""
    close = float(prices.close[np.searchsorted(prices.session, day)])
    for session, ratio in SPLITS:
        if as_of is not None and day < session <= as_of:
            close /= ratio
    return close


def knowing(say):
    """A model that answers with what it says of the day asked for."""

    def respond(request):
        day = re.search(r"on (\d{4}-\d\d-\d\d)\?", str(request.messages[-1]["content"]))[1]
        answer = say(np.datetime64(day))
        return answer if isinstance(answer, Answer) else structured({"price": answer})

    return respond


def probed(prices, say, days=ORIGINS):
    with chat_server(knowing(say)) as server:
        model = server.endpoint()
        found = [probe("m", model, prices, day) for day in days]
        return found, server.chats


@pytest.mark.parametrize("as_of", [None, "2023-01-03", "2025-02-14"])
def test_a_model_that_knows_closes_knows_them_all_in_whichever_dollars(prices, as_of):
    basis = None if as_of is None else np.datetime64(as_of)
    found, _ = probed(prices, lambda day: round(close_at(prices, day, basis), 2))
    assert [row["knows"] for row in found] == [True] * len(ORIGINS)


def test_the_row_holds_what_was_said_beside_the_close_as_quoted(prices):
    [row], _ = probed(prices, lambda _: 800.0, [ORIGINS[2]])
    assert row == {
        "model": "m",
        "day": "2021-07-01",
        "said": 800.0,
        "actual": close_at(prices, ORIGINS[2]),
        "knows": False,
    }


@pytest.mark.parametrize("off", [1.0 + 1.2 * NEAR, 1.0 - 1.2 * NEAR, 0.5, 2.0])
def test_a_model_that_is_near_knows_none(prices, off):
    found, _ = probed(prices, lambda day: off * close_at(prices, day))
    assert not any(row["knows"] for row in found)


def test_a_close_within_one_percent_is_known(prices):
    for off in (1.0 + 0.8 * NEAR, 1.0 - 0.8 * NEAR):
        found, _ = probed(prices, lambda day, off=off: off * close_at(prices, day), ORIGINS[:2])
        assert all(row["knows"] for row in found)


def test_dollars_of_a_split_before_the_day_are_not_its_close(prices):
    found, _ = probed(prices, lambda day: 4.0 * close_at(prices, day), [ORIGINS[3]])
    assert not found[0]["knows"]


SILENT = {
    "null": structured({"price": None}),
    "no JSON": text("I do not know."),
    "no price": structured({}),
    "a list": structured([833.0]),
    "text": structured({"price": "833"}),
    "true": structured({"price": True}),
    "zero": structured({"price": 0}),
    "NaN": text('{"price": NaN}'),
    "infinite": text('{"price": 1e999}'),
    "no reply": failed(400, "no"),
    "nothing": text(None),
}


@pytest.mark.parametrize("answer", SILENT.values(), ids=SILENT)
def test_a_model_that_says_no_figure_knows_none(prices, answer):
    [row], _ = probed(prices, lambda _: answer, ORIGINS[:1])
    assert row["said"] is None and row["knows"] is False


def test_it_is_asked_outright_and_told_no_price(prices):
    _, chats = probed(prices, lambda _: None, ORIGINS[:1])
    [message] = chats[0]["messages"]
    assert message["content"] == (
        "What was the closing price of Nvidia (NVDA) on 2016-01-04? Answer as JSON: price in "
        "dollars, or null if you do not know."
    )
    assert chats[0]["max_tokens"] <= 60 and "tools" not in chats[0]
    assert json.dumps(chats[0]).count("null") >= 2  # the schema lets it say so
