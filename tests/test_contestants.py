"""A --model option names a language model, its server, its key, and what it costs."""

import threading
import time

import numpy as np
import pytest
from chat_server import chat_server, text

from belief.errors import UsageError
from belief_tools.contestants import USUAL_KEY, Contestant, Pace, contestant
from belief_tools.llm import NO_KEY
from belief_tools.local_model import MODEL as LOCAL_MODEL

URL = "http://127.0.0.1:8080/v1"


# Forms of the option


def test_a_name_alone_is_a_model_of_the_usual_server():
    assert contestant("gpt-5.4-mini", {}) == Contestant("gpt-5.4-mini")
    assert contestant("m", {"OPENAI_BASE_URL": f" {URL} "}) == Contestant("m", URL, USUAL_KEY)


def test_fields_name_everything():
    found = contestant(
        f"name=qwen3, url={URL}, key=QWEN_KEY, cutoff=2024-10-01, in=.25, out=2",
        {"OPENAI_BASE_URL": "http://127.0.0.1:1/v1"},
    )
    expected = Contestant("qwen3", URL, "QWEN_KEY", np.datetime64("2024-10-01"), 0.25, 2.0)
    assert found == expected


def test_a_name_may_stand_bare_beside_fields():
    assert contestant("qwen3,cutoff=2024-10-01", {}).cutoff == np.datetime64("2024-10-01")
    assert contestant(f"url={URL},qwen3", {}).name == "qwen3"


def test_an_address_may_hold_equals_signs():
    assert contestant(f"m,url={URL}?a=b", {}).url == f"{URL}?a=b"


def test_a_name_may_hold_slashes_and_colons():
    assert contestant("org/model:7b-q4", {}).name == "org/model:7b-q4"


@pytest.mark.parametrize("option", ["local", "name=local"])
def test_the_local_model_is_called_by_its_name_and_costs_nothing(option):
    found = contestant(f"{option},cutoff=2023-06-30", {"OPENAI_BASE_URL": URL})
    assert found.name == LOCAL_MODEL and found.is_local and not found.calls_tools
    assert found.cutoff == np.datetime64("2023-06-30")
    assert found.cost(None, None) == 0.0


def test_a_model_on_a_server_is_offered_tools():
    found = contestant(f"{LOCAL_MODEL},url={URL}", {})
    assert found.calls_tools and not found.is_local


# What makes no sense

FORMS = "write a name, or name=...,url=...,key=VARIABLE,cutoff=YYYY-MM-DD,in=DOLLARS,out=DOLLARS"


@pytest.mark.parametrize(
    "option",
    [
        "",
        ",",
        "a,b",
        "a,name=b",
        "url=http://127.0.0.1/v1",
        "name=",
        "a,in=",
        "a,price=3",
        "a,=3",
        "a,in=1,in=2",
        "a,URL=http://127.0.0.1/v1",
        "a\nb,c",
    ],
)
def test_an_option_that_makes_no_sense_is_told_what_would(option):
    with pytest.raises(UsageError) as error:
        contestant(option, {})
    said = str(error.value)
    assert said.startswith("--model '") and said.endswith(f"makes no sense; {FORMS}")
    assert "\n" not in said


@pytest.mark.parametrize(
    ("option", "told"),
    [
        ("a,cutoff=2024-13-01", "cutoff='2024-13-01' is not a day; write it as YYYY-MM-DD"),
        ("a,cutoff=June 2024", "cutoff='June 2024' is not a day"),
        ("local,cutoff=soon", "cutoff='soon' is not a day"),
        ("a,in=free", "in=free is not a price in dollars, such as 0.25"),
        ("a,out=-1", "out=-1 is not a price in dollars"),
        ("a,in=nan", "in=nan is not a price in dollars"),
        ("a,in=inf", "in=inf is not a price in dollars"),
        ("a,url=localhost:11434", "the address of a 'localhost:11434' is not a web address"),
        ("a,url=ftp://x/v1", "the address of a 'ftp://x/v1' is not a web address"),
        ("local,url=http://127.0.0.1/v1", "url= means nothing to the local model"),
        ("local,in=1,out=1", "in= means nothing to the local model; it takes cutoff= alone"),
        ("a,key=my key", "key= names an environment variable in capitals, such as QWEN_KEY"),
    ],
)
def test_a_value_that_cannot_be_is_named(option, told):
    with pytest.raises(UsageError) as error:
        contestant(option, {})
    assert told in str(error.value) and "\n" not in str(error.value)
    assert "OPENAI" not in str(error.value)


def test_a_password_in_an_address_is_not_repeated():
    with pytest.raises(UsageError) as error:
        contestant("a,url=ftp://me:secret@host/v1", {})
    assert "secret" not in str(error.value)


@pytest.mark.parametrize("option", ["a,key=sk-7f3a9c", "key=sk-7f3a9c", "a,b,key=sk-7f3a9c"])
def test_a_key_in_the_place_of_its_name_is_not_repeated(option):
    with pytest.raises(UsageError) as error:
        contestant(option, {})
    assert "7f3a9c" not in str(error.value)


# Keys


def key_of(option, environ):
    return contestant(option, environ).connect(environ).api_key


def test_the_usual_key_goes_to_the_usual_server_alone():
    environ = {"OPENAI_API_KEY": " sk-usual ", "B_KEY": "sk-b"}
    assert key_of("m", environ) == "sk-usual"
    assert key_of("m", {**environ, "OPENAI_BASE_URL": URL}) == "sk-usual"
    assert key_of(f"m,url={URL}", environ) == NO_KEY
    assert key_of(f"m,url={URL},key=B_KEY", environ) == "sk-b"
    assert key_of(f"m,url={URL},key=OPENAI_API_KEY", environ) == "sk-usual"
    assert key_of("m", {"OPENAI_BASE_URL": URL}) == NO_KEY


@pytest.mark.parametrize(
    ("option", "name"), [("m", "OPENAI_API_KEY"), ("m,key=B", "B"), (f"m,url={URL},key=B", "B")]
)
def test_a_key_that_is_not_set_is_an_error(option, name):
    with pytest.raises(UsageError, match=rf"^m needs a key in {name}, which is not set$"):
        contestant(option, {}).connect({"B": " "})


def test_a_key_that_cannot_be_sent_is_named_and_not_shown():
    with pytest.raises(UsageError) as error:
        contestant(f"m,url={URL},key=B_KEY", {}).connect({"B_KEY": "sk two"})
    assert "B_KEY" in str(error.value) and "sk two" not in str(error.value)


def test_a_contestant_is_asked_by_its_name():
    with chat_server([text("yes")]) as server:
        model = contestant(f"some-model,url={server.url}", {}).connect({})
        reply = model.chat([{"role": "user", "content": "there?"}], max_tokens=5)
        assert reply.text == "yes" and server.chats[0]["model"] == "some-model"


# Costs


def test_tokens_cost_what_a_million_of_them_cost():
    found = Contestant("m", URL, None, dollars_in=0.25, dollars_out=2.0)
    assert found.cost(2_000_000, 500_000) == 1.5
    assert found.cost(0, 0) == 0.0


@pytest.mark.parametrize("prices", [(None, 2.0), (0.25, None), (None, None)])
def test_a_cost_is_not_known_without_both_prices(prices):
    assert Contestant("m", URL, None, None, *prices).cost(1, 1) is None


@pytest.mark.parametrize("counts", [(None, 1), (1, None)])
def test_a_cost_is_not_known_without_both_counts(counts):
    assert Contestant("m", URL, None, None, 1.0, 1.0).cost(*counts) is None


def test_a_model_for_nothing_costs_nothing():
    assert contestant("m,in=0,out=0", {}).cost(1_000, 1_000) == 0.0


# Pace


@pytest.mark.parametrize("threads", [1, 4])
def test_a_pace_lets_so_many_through_a_minute(threads):
    pace, at = Pace(per_minute=60.0 / 0.05), []

    def ask():
        for _ in range(8 // threads):
            pace.wait()
            at.append(time.monotonic())

    begun = time.monotonic()
    running = [threading.Thread(target=ask) for _ in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    assert len(at) == 8
    assert at[0] - begun < 0.04
    for number, moment in enumerate(sorted(at)):
        assert moment - begun >= 0.05 * number - 0.002


def test_a_pace_that_was_idle_does_not_catch_up():
    pace = Pace(per_minute=60.0 / 0.05)
    pace.wait()
    time.sleep(0.2)
    begun = time.monotonic()
    for _ in range(3):
        pace.wait()
    assert time.monotonic() - begun >= 2 * 0.05 - 0.002
