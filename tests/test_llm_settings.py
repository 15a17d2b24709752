"""Where a language model is looked for: addresses, proxies, and the environment."""

import gc
import traceback

import pytest
from chat_server import (
    KEY,
    ChatServer,
    chat_server,
    failed,
    models_list,
    not_json,
    raw,
    text,
)

from belief.errors import LanguageModelError, UsageError
from belief_tools.llm import DEFAULT_MODEL, Endpoint, endpoint_from_environment
from belief_tools.replies import Reply

QUESTION = [{"role": "user", "content": "Predict the stock price of Nvidia in March 2024"}]


def ask(server: ChatServer, **changes) -> Reply:
    return server.endpoint(**changes).chat(QUESTION, max_tokens=50)


# Where the connection goes


def test_a_proxy_in_the_environment_is_not_used_on_this_computer(monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with chat_server([text("ok")]) as server:
        assert ask(server).text == "ok"


def test_no_connection_is_left_open():
    # An unclosed socket would be a ResourceWarning here, which fails the test.
    with chat_server([text("ok"), failed(500, "x"), not_json()]) as server:
        ask(server)
        for _ in range(2):
            with pytest.raises(LanguageModelError):
                ask(server)
    gc.collect()


# Endpoints from the environment


def test_nothing_set_is_no_endpoint():
    assert endpoint_from_environment({}) is None
    empty = {"OPENAI_API_KEY": "", "OPENAI_BASE_URL": " ", "OPENAI_MODEL": "gpt-x"}
    assert endpoint_from_environment(empty) is None


def test_a_key_alone_is_the_hosted_service_with_the_default_model():
    endpoint = endpoint_from_environment({"OPENAI_API_KEY": f"{KEY}\n", "OPENAI_BASE_URL": ""})
    assert endpoint == Endpoint(
        None, DEFAULT_MODEL, KEY, name=f"{DEFAULT_MODEL} (api.openai.com)", calls_tools=True
    )


def test_a_named_model_is_taken_without_asking_the_server():
    with chat_server([]) as server:
        environ = {"OPENAI_BASE_URL": server.url, "OPENAI_MODEL": "qwen3"}
        endpoint = endpoint_from_environment(environ)
    assert endpoint is not None and endpoint.model == "qwen3"
    assert endpoint.name == f"qwen3 ({server.address.removeprefix('http://')})"
    assert server.requests == []


def test_a_server_without_a_named_model_is_asked_for_its_first():
    with chat_server([text("ok")], models=models_list("first", "second")) as server:
        endpoint = endpoint_from_environment({"OPENAI_BASE_URL": f"{server.url}/"})
        assert endpoint is not None and endpoint.chat(QUESTION, max_tokens=5).text == "ok"
    assert server.chats[0]["model"] == "first"
    assert {request.headers["authorization"] for request in server.requests} == {"Bearer none"}


@pytest.mark.parametrize(
    ("models", "told"),
    [
        (models_list(), "lists no models; name one in OPENAI_MODEL"),
        (raw({"data": [{"id": 3}, None, {}]}), "lists no models"),
        (raw({"object": "list"}), "lists no models"),
        (failed(404, "no list"), "HTTP 404"),
        (not_json(), "not JSON"),
    ],
)
def test_a_server_whose_list_of_models_is_of_no_use_is_an_error(models, told):
    with chat_server([], models=models) as server:
        with pytest.raises(LanguageModelError, match=r"http://127.*") as caught:
            endpoint_from_environment({"OPENAI_BASE_URL": server.url})
    assert told in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "localhost:8080/v1",
        "ftp://h/v1",
        "/v1",
        "http://",
        "http://h:x/",
        "http://[::1",
        "http://a b/",
    ],
)
def test_a_malformed_base_url_is_a_usage_error_that_names_it(url):
    with pytest.raises(UsageError, match="OPENAI_BASE_URL") as caught:
        endpoint_from_environment({"OPENAI_BASE_URL": url})
    assert url in str(caught.value) and "http://127.0.0.1:8080/v1" in str(caught.value)


def test_a_password_in_the_base_url_is_never_shown():
    for address in ("http://{}:9/v1", "http://{}:x/v1", "{}:9/v1", "http:/{}/v1", "htp:{}"):
        url = address.format("me:hunter2@127.0.0.1")
        with pytest.raises((UsageError, LanguageModelError), match=r"127\.0\.0\.1") as caught:
            endpoint_from_environment({"OPENAI_BASE_URL": url})
        shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
        assert "hunter2" not in shown
