"""Many visitors of one page in browsers: what is whose, and who gets in."""

import re

import pytest
from browsed import QUESTION, TARGET, Model, page_server, summary, talking_server
from chat_server import KEY, chat_server
from playwright.sync_api import expect
from published import FIRST

SECRET = "open-sesame-1234567890"
NAMES = ("ada", "ben", "cleo", "dan", "ezra", "finn", "gus", "hugo", "ines", "jon")


def names_asker(request):
    """Words that say to whom they are, so that an answer in the wrong place is seen."""
    asked = [sent["content"] for sent in request.messages if sent["role"] == "user"]
    return f"To {re.search('I am ([a-z]+)', str(asked))[1]}: {summary(request)}"


@pytest.fixture(scope="module")
def served(kept):
    model = Model()
    model.become(names_asker)
    with talking_server(model) as each:
        yield each


def said(visit):
    return set(re.findall(r"(?:I am|To) ([a-z]+)", visit.page.content()))


def test_two_visitors_see_nothing_of_each_other(served, visiting):
    ada, ben = visiting(served.url).open(), visiting(served.url).open()
    ada.ask(f"I am ada. {QUESTION}")
    ben.ask(f"I am ben. {QUESTION}")
    for _ in range(2):
        assert (said(ada), said(ben)) == ({"ada"}, {"ben"})
        ada.open().wait_for_answer()
        ben.open().wait_for_answer()
    assert "I am ben" not in str(ada.frames) and "I am ada" not in str(ben.frames)
    entry = ada.answer.get_by_role("link", name="entry").get_attribute("href")
    own, foreign = (each.page.request.get(served.url + entry) for each in (ada, ben))
    assert own.status == 200 and "I am ada" in own.text()
    assert foreign.status == 404 and "ada" not in foreign.text()


def test_ten_browsers_at_once_each_get_their_own_answer(served, visiting):
    visits = {name: visiting(served.url) for name in NAMES}
    for each in visits.values():
        each.page.goto(each.url, wait_until="commit")
    for name, each in visits.items():
        expect(each.editor).to_be_editable()
        each.send(f"I am {name}. {QUESTION}")
    for name, each in visits.items():
        each.wait_for_answer()
        assert said(each) == {name}
        assert f"To {name}: On {TARGET}" in each.text("#chat .answer-text")


# Who gets in


def test_a_wrong_token_is_told_the_right_one_opens_the_page_and_no_key_gets_out(kept, visiting):
    model = Model()
    with chat_server(model) as server, page_server(server.endpoint, token=SECRET) as each:
        visit = visiting(each.url)
        visit.page.goto(each.url + "?symbol=NVDA")
        visit.page.get_by_label("Token").fill("a guess")
        visit.page.get_by_role("button", name="Open the page").click()
        expect(visit.page.get_by_role("alert")).to_contain_text("not the token")
        assert visit.page.get_by_label("Token").evaluate("e => e === document.activeElement")
        assert SECRET not in visit.page.content()
        assert all("401" in problem for problem in visit.problems) and visit.problems
        visit.problems.clear()
        visit.responses.clear()
        visit.page.keyboard.type(SECRET)
        visit.page.keyboard.press("Enter")
        visit.looks(FIRST)
        visit.ask()
        assert KEY in str(server.requests) and SECRET not in visit.page.url
        assert_nothing_of(visit, KEY, SECRET)


def assert_nothing_of(visit, *secrets):
    """Neither what was sent to a browser nor what it keeps holds any of these."""
    entry = visit.answer.get_by_role("link", name="entry").get_attribute("href")
    heard = visit.page.request.get(visit.url + entry).body()
    heard += b"".join(each.body() for each in visit.responses if each.status == 200)
    heard += str([each.all_headers() for each in visit.responses]).encode()
    heard += str(visit.frames).encode() + str(visit.page.context.storage_state()).encode()
    assert QUESTION.encode() in heard and b"belief_access" in heard and b"jQuery" in heard
    for secret in secrets:
        assert secret.encode() not in heard
