"""The token of the page: how it is given, kept by a browser, and guessed."""

import hashlib
import logging
import re

import pytest
from guarded_page import (
    ANY_VISITOR,
    BEARER,
    SECRET,
    ask,
    cookies_of,
    entered,
    guarded,
    refused,
)

from belief_tools import page_token
from belief_tools.page_token import ASKED, TOO_MANY, WRONG


@pytest.fixture(scope="module")
def locked():
    with guarded(token=SECRET) as at:
        yield at


@pytest.fixture(autouse=True)
def nothing_guessed(monkeypatch):
    """Each test may guess."""
    monkeypatch.setattr(page_token, "MOST_WRONG", 1000)


def test_without_the_token_a_form_asks_for_it_and_nothing_else_is_told(locked):
    for path in ("", "lib/script.js", "session/1/upload/2", "nothing"):
        answer = ask(f"{locked}{path}")
        assert answer.status_code == 401 and not cookies_of(answer)
        assert answer.headers["www-authenticate"] == "Bearer"
        assert ASKED in answer.text and '<label for="token">' in answer.text
        assert 'type="password"' in answer.text and "<script" not in answer.text
    assert refused(locked, **ANY_VISITOR)


WRONG_TOKENS = ("", SECRET[:-1], f"{SECRET}x", SECRET.upper(), "é", "\x00", "x" * 60_000)


@pytest.mark.parametrize("token", WRONG_TOKENS)
def test_a_wrong_token_is_told_without_saying_it_again(locked, token):
    answers = [ask(locked, "POST", data={"token": token})]
    if len(token) < 1000:
        answers += [ask(locked, params={"token": token})]
    for answer in answers:
        assert answer.status_code == 401 and not cookies_of(answer)
        assert WRONG in answer.text and 'role="alert"' in answer.text
        assert not token or token not in answer.text.replace(WRONG, "")


@pytest.mark.parametrize("sent", ["Bearer", f"Bearer {SECRET}x", SECRET, f"Basic {SECRET}"])
def test_a_wrong_bearer_token_is_refused(locked, sent):
    assert ask(locked, headers={"Authorization": sent}).status_code == 401
    assert refused(locked, Authorization=sent, **ANY_VISITOR)


def test_a_client_gets_in_by_its_bearer_token(locked):
    answer = ask(locked, headers=BEARER)
    assert answer.status_code == 200 and list(cookies_of(answer)) == ["belief_visitor"]
    assert not refused(locked, **BEARER, **ANY_VISITOR)


@pytest.mark.parametrize("way", ["form", "address"])
def test_for_the_token_a_browser_gets_a_cookie_that_does_not_hold_it(locked, way):
    answer = entered(locked, way)
    assert (answer.status_code, answer.headers["location"]) == (303, "./?symbol=NVDA")
    assert SECRET not in answer.text + str(answer.headers)
    (said,) = answer.headers.get_list("set-cookie")
    name, value = said.split(";")[0].split("=")
    assert said.split("; ")[1:] == ["Path=/", "HttpOnly", "SameSite=Strict"]
    assert name == "belief_access" and re.fullmatch("[0-9a-f]{64}", value)
    cookie = f"{name}={value}"
    assert ask(locked, headers={"Cookie": cookie}).status_code == 200
    assert not refused(locked, Cookie=f"{cookie}; {ANY_VISITOR['Cookie']}")


def test_who_is_in_loses_the_token_from_the_address_as_well(locked):
    cookie = {"Cookie": f"belief_access={cookies_of(entered(locked, 'form'))['belief_access']}"}
    for token in (SECRET, "outdated"):
        answer = ask(f"{locked}?token={token}&token=2&a=", headers=cookie)
        assert (answer.status_code, answer.headers["location"]) == (303, "./?a=")


def test_the_cookie_holds_after_a_restart_and_for_no_other_token(locked):
    cookie = {"Cookie": f"belief_access={cookies_of(entered(locked, 'form'))['belief_access']}"}
    with guarded(token=SECRET) as again:
        assert ask(again, headers=cookie).status_code == 200
    with guarded(token=f"{SECRET}2") as other:
        assert ask(other, headers=cookie).status_code == 401


@pytest.mark.parametrize(
    "cookie",
    [
        f"belief_access={SECRET}",
        "belief_access=",
        "belief_access",
        f"belief_access={'0' * 64}",
        f"belief_access={hashlib.sha256(SECRET.encode()).hexdigest()}",
        'belief_access="',
        "belief_access=\xe9\xff",
        "=; ;;==belief_access",
        "x" * 8000,
    ],
)
def test_any_other_cookie_is_none(locked, cookie):
    assert ask(locked, headers={"Cookie": cookie.encode("latin-1")}).status_code == 401


def test_a_cookie_of_another_program_does_no_harm(locked):
    mine = f"belief_access={cookies_of(entered(locked, 'form'))['belief_access']}"
    other = 'theirs={"a": [1, "b"]}; x y=1; ='
    assert ask(locked, headers={"Cookie": f"{other}; {mine}"}).status_code == 200


def test_whoever_guesses_is_stopped_even_at_the_right_token_and_others_go_on(monkeypatch):
    monkeypatch.setattr(page_token, "MOST_WRONG", 3)
    with guarded(token=SECRET) as url:
        cookie = {"Cookie": f"belief_access={cookies_of(entered(url, 'form'))['belief_access']}"}
        ask(url, "POST", data={"token": "1"})
        ask(url, headers={"Authorization": "Bearer 2"})
        assert refused(url, Authorization="Bearer 3", **ANY_VISITOR)
        for answer in (entered(url, "form"), entered(url, "address"), ask(url, headers=BEARER)):
            assert answer.status_code == 429 and TOO_MANY in answer.text
            assert answer.headers["retry-after"] == "60" and not cookies_of(answer)
        assert ask(url).status_code == 401
        assert ask(url, headers=cookie).status_code == 200
        elsewhere = {"X-Forwarded-For": "203.0.113.7"}  # as a proxy on this machine says
        assert ask(url, headers=BEARER | elsewhere).status_code == 200
        monkeypatch.setattr(page_token, "MOST_WRONG_OF_ALL", 3)
        assert ask(url, headers=BEARER | elsewhere).status_code == 429
        monkeypatch.setattr(page_token, "WINDOW", 0)
        assert entered(url, "form").status_code == 303


def test_the_token_is_in_no_log(caplog):
    with caplog.at_level(logging.INFO), guarded(token=SECRET) as url:
        entered(url, "form")
        ask(url, headers=BEARER)
        ask(f"{url}?fail=1", headers=BEARER)
        refused(url, **BEARER, **ANY_VISITOR)
    assert "RuntimeError" in caplog.text and SECRET not in caplog.text


def test_over_https_cookies_are_for_https_alone(locked):
    through = {"X-Forwarded-Proto": "https"}
    answer = ask(locked, "POST", data={"token": SECRET}, headers=through)
    assert answer.headers["set-cookie"].endswith("; Secure")
    answer = ask(locked, headers=BEARER | through)
    assert answer.headers["set-cookie"].endswith("; Secure")
