"""The conversation in a browser: answers that stream, what is rejected, and whose it is."""

import pytest
from browsed import QUESTION, TARGET, Model, summary, talking_server
from chat_server import failed
from playwright.sync_api import expect
from published import FIRST

INVENTED = "$1,999"
PASSED = '<img src="x" onerror="alert()">'
REJECTED = '<script>alert()</script><b id="planted">so</b>'
ELEMENTS = "#chat :is(img, script, #planted, .answer strong)"


@pytest.fixture(scope="module")
def served(kept):
    with talking_server(model := Model()) as each:
        yield each, model


@pytest.fixture
def model(served):
    served[1].become()
    return served[1]


@pytest.fixture
def visit(served, model, visiting):
    return visiting(served[0].url).open()


def twice(request):
    """Two sentences, of which the first can be shown before the second is there."""
    return f"{summary(request)} {summary(request)}"


def test_an_answer_grows_before_its_receipt_is_there(model, visit):
    model.become(twice, pause=0.03)
    visit.send()
    coming = visit.page.locator("#chat .answer-text").first
    coming.wait_for()
    begun = coming.inner_text().strip()
    assert "consulting the belief" in visit.text("#chat")
    assert visit.answer.locator(".answer-receipt").count() == 0
    visit.wait_for_answer()
    text = visit.text("#chat .answer-text")
    assert text.startswith(begun) and len(text) > len(begun)
    assert f"as of {FIRST}" in visit.text("#chat .answer-receipt")


def test_the_call_of_the_tool_unfolds_and_the_ledger_has_the_answer(visit):
    visit.ask()
    call = visit.answer.locator("details.answer-call")
    assert not call.locator("table").first.is_visible()
    call.locator("summary").click()
    rows = call.get_by_role("group", name="The result").locator("tr")
    expect(rows.filter(has_text="target")).to_contain_text([TARGET])
    visit.answer.get_by_role("link", name="entry").click()
    expect(visit.page.locator("h1")).to_contain_text("Ledger entry")
    assert QUESTION in visit.text("body") and "What the answer rests on" in visit.text("body")


def test_invented_figures_are_struck_through_with_the_reason(model, visit):
    model.become(lambda request: f"{summary(request)} By then it will be at {INVENTED}.")
    visit.ask()
    [struck] = visit.answer.locator("del").all()
    assert INVENTED in struck.inner_text()
    line = struck.evaluate("e => getComputedStyle(e).textDecorationLine")
    assert line == "line-through"
    assert INVENTED in visit.text("#chat .answer-reasons")
    assert INVENTED not in visit.text("#chat .answer-text")
    assert "The belief's own statement" in visit.text("#chat .answer-label")


def test_markup_in_words_of_models_and_people_stays_text(model, visit):
    visit.page.on("dialog", lambda dialog: visit.problems.append(f"dialog: {dialog.message}"))
    for markup in (PASSED, REJECTED):
        model.become(lambda request, markup=markup: f"{markup} **so** {summary(request)}")
        visit.ask(f"{markup} {QUESTION}")
        assert markup[:7] in visit.answer.locator(".answer-text, blockquote").last.inner_text()
    for _ in range(2):
        assert visit.page.locator(ELEMENTS).count() == 0
        asked = visit.text("#chat .shiny-chat-user-message")
        assert PASSED in asked and REJECTED in asked
        visit.open().wait_for_answer()  # as the server has kept it


def test_a_language_model_that_fails_is_told_and_the_belief_answers(model, visit):
    model.become(failure=failed(503, "overloaded"))
    visit.ask()
    assert "503" in visit.text("#chat .answer-problem")
    assert f"On {TARGET} Nvidia is expected at" in visit.text("#chat .answer-text")


def test_what_cannot_be_asked_is_told_and_the_next_question_is_answered(visit):
    visit.ask("What will AMD cost at the end of July 2024?")
    assert "these are prices of NVDA" in visit.text("#chat .answer-problem")
    visit.ask()
    assert visit.answer.locator(".answer-receipt").count() == 1


# Whose conversation it is, and what becomes of it


def test_a_conversation_is_still_there_when_the_page_is_loaded_again(visit):
    visit.ask()
    before = visit.text("#chat .answer")
    visit.open()
    visit.wait_for_answer()
    assert visit.text("#chat .answer") == before
    assert visit.text("#chat .shiny-chat-user-message") == QUESTION
    visit.ask("And one month later?")
    assert visit.answers.count() == 2


def test_an_answer_that_is_coming_is_finished_when_the_page_is_loaded_again(model, visit):
    model.become(twice, pause=0.05)
    visit.send()
    visit.answer.locator(".answer-waiting").wait_for()
    visit.open()
    visit.wait_for_answer()
    assert visit.answer.locator(".answer-receipt").count() == 1
    assert len(model.asked) == 1 and visit.questions.count() == 1


def test_a_new_conversation_knows_nothing_of_the_one_before(model, visit):
    visit.ask()
    visit.page.get_by_role("button", name="New conversation").click()
    expect(visit.answers).to_have_count(0)
    assert visit.questions.count() == 0
    visit.open()
    assert visit.answers.count() == 0
    visit.ask()
    assert len(model.asked) == 2 and visit.answers.count() == 1


def test_each_session_has_a_conversation_of_its_own(visit):
    visit.ask()
    visit.pick("2024-05-15")
    visit.looks("2024-05-15")
    expect(visit.answers).to_have_count(0)
    visit.page.get_by_role("button", name="Newest").click()
    visit.looks(FIRST)
    expect(visit.answers).to_have_count(1)


def test_two_pages_of_one_browser_have_one_conversation(served, visit, visiting):
    visit.ask()
    second = visiting(served[0].url, same_as=visit.page.context).open()
    second.wait_for_answer()
    assert second.text("#chat .answer") == visit.text("#chat .answer")
