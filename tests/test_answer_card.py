"""An answer on the page: what is wrong is struck, and whatever was written stays text."""

import dataclasses
import html
import re

import pytest
from chat_server import failed, text
from consulted import CALL, PREDICTION, WRONG, consulted, plays, words_of

from belief.errors import UsageError
from belief_tools.answer import without_model
from belief_tools.answer_card import answer_card, coming_card, error_card, reply_card
from belief_tools.conversation import Reply
from belief_tools.receipt import statement
from belief_tools.recording import Written

ATTACK = "<img src=x onerror=alert(1)>"
ESCAPED = html.escape(ATTACK, quote=False)
STRUCK = re.compile(r'<del>\s*<span class="unseen">rejected: </span>(.*?)</del>', re.DOTALL)


def markup(card):
    return str(card)


def struck(card):
    """What is struck, as it is read."""
    return [html.unescape(words).strip() for words in STRUCK.findall(markup(card))]


def seen(card):
    """The words of a card, without its markup."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", markup(card))).split())


@pytest.fixture(scope="module")
def result(tool):
    return tool.run(tool.check(CALL))


@pytest.fixture(scope="module")
def replaced(tool):
    return consulted(tool, plays(WRONG)).given


def rejected(given, said, *findings):
    """The same answer, as if this text had been rejected for these words."""
    found = [{"figure": f, "rule": "price", "message": f"reason of {f or 'all'}"} for f in findings]
    checks = {"passed": False, "findings": found, "rejected": said}
    return dataclasses.replace(given, checks=checks)


# The text and what is wrong with it


def test_an_answer_shows_its_text_and_every_line_of_its_receipt(tool, result):
    given = consulted(tool, plays(words_of(result))).given
    card = seen(answer_card(given, Written("0123456789ab", None)))
    assert given.stop_reason == "answered" and card.startswith(given.text)
    for line in (*given.receipt, *given.notes):
        assert line in card
    assert '<a href="ledger/0123456789ab">' in markup(
        answer_card(given, Written("0123456789ab", None))
    )
    assert not struck(answer_card(given)) and "Rejected" not in card


def test_the_rejected_figure_is_struck_with_its_reason_and_the_statement_stands(replaced):
    card = answer_card(replaced)
    assert struck(card) == ["$1,208"]
    words = seen(card)
    assert words.startswith("The belief's own statement, in place of the model's text:")
    assert statement(replaced.result) in words
    assert "rejected: $1,208 reason 1 on 2024-03-28." in words
    assert replaced.checks["findings"][0]["message"] in words
    assert f"Rejected: what {replaced.model} wrote" in words


@pytest.mark.parametrize(
    ("said", "figures", "expected"),
    [
        ("It costs $8.50, 0.8 or 1,8, not 8 nor $8.", ["8"], ["8"]),
        ("It costs $1,208.50, then $1,208.", ["$1,208"], ["$1,208"]),
        ("Up 5 %, or 5 %.", ["5 %"], ["5 %", "5 %"]),
        ("between $600 and $700", ["$600 and $700", "$600"], ["$600 and $700"]),
        ("It is **$900**, certainly.", ["certainly", "$900"], ["$900", "certainly"]),
        ("(.*) costs $9", ["(.*)"], ["(.*)"]),
        ("It is unsure.", [""], ["It is unsure."]),
        ("It is unsure.", ["not there"], ["It is unsure."]),
        ("It is 5.", ["", "5"], ["5"]),
    ],
)
def test_the_very_figures_are_struck_or_else_the_whole(replaced, said, figures, expected):
    assert struck(answer_card(rejected(replaced, said, *figures))) == expected


def test_a_figure_that_is_wrong_in_two_ways_has_both_reasons(replaced):
    card = seen(answer_card(rejected(replaced, "It was $834.", "$834", "$834", "")))
    assert "rejected: $834 reason 1, 2 ." in card
    assert "reason of $834 reason of $834 reason of all" in card


def test_a_rejected_text_without_end_is_cut_and_says_so(replaced):
    card = seen(answer_card(rejected(replaced, "so " * 5_000, "")))
    assert len(card) < 12_000 and "cut here; the ledger has the whole" in card


def test_a_model_that_failed_is_told_of_once_and_as_an_error(tool):
    given = consulted(tool, lambda _: failed(500, "out of memory")).given
    card = seen(answer_card(given))
    assert card.startswith("The belief's own statement, as the language model failed:")
    assert card.count("out of memory") == 1 and f"Error: {given.notes[-1]}" in card


def test_a_second_text_says_that_the_first_did_not_pass(tool, result):
    given = consulted(tool, plays([text(WRONG), text(words_of(result))])).given
    assert given.stop_reason == "repaired"
    assert seen(answer_card(given)).startswith("The model's second text")


# The calls


def test_a_call_is_folded_and_has_arguments_result_and_who_made_it(replaced):
    card = markup(answer_card(replaced))
    assert (
        card.count('class="answer-call"') == 1
        and "<summary>Tool call: forecast_price</summary>" in card
    )
    words = seen(answer_card(replaced))
    assert "Made by the language model." in words and "as the model asked {" in words
    [call] = replaced.tool_calls
    assert "target_date 2024-03-28" in words and "price_levels none" in words
    assert call["result"]["summary"] in words and call["result"]["forecast_id"] in words


def test_a_call_that_failed_shows_what_the_model_was_told(replaced):
    call = {"name": "guess", "arguments": '{"x": 1}', "by": "model", "error": "there is no tool"}
    words = seen(answer_card(dataclasses.replace(replaced, tool_calls=(call,))))
    assert "Tool call: guess ended in an error" in words and "Error: there is no tool" in words


# Figures of the model's own


@pytest.mark.parametrize(
    ("own", "words"),
    [
        ({"agrees": True, "own_view": False}, "the belief's figures, to one percent"),
        ({"agrees": False, "own_view": True}, "its own view: outside the belief's 98 % interval"),
        ({"agrees": False, "own_view": False}, "other than the belief's"),
        ({}, "not compared"),
    ],
)
def test_the_models_own_figures_are_said_to_be_unchecked(replaced, own, words):
    prediction = {**PREDICTION, **own, "reasons": "because of $5,000"}
    card = seen(answer_card(dataclasses.replace(replaced, prediction=prediction)))
    assert f"unchecked: $834.00 ($680.50 to $994.00), up with 55%; {words}" in card
    assert "$5,000" not in card  # its words are checked by nobody


# What is text stays text


def test_nothing_that_a_model_a_person_or_a_file_says_becomes_markup(replaced):
    nasty = dataclasses.replace(
        rejected(replaced, f"{ATTACK} $5 {ATTACK}", "$5", ATTACK),
        question=ATTACK,
        text=ATTACK,
        model=ATTACK,
        notes=(ATTACK,),
        receipt=(ATTACK,),
        tool_calls=(
            {
                "name": ATTACK,
                "arguments": {ATTACK: ATTACK},
                "asked": ATTACK,
                "by": ATTACK,
                "result": {ATTACK: [{ATTACK: ATTACK}], "summary": ATTACK},
            },
            {"name": ATTACK, "arguments": ATTACK, "by": "model", "error": ATTACK},
        ),
    )
    for card in (
        answer_card(nasty, Written(f'"{ATTACK}', None)),
        answer_card(nasty, Written(None, ATTACK)),
        error_card(UsageError(ATTACK), Written(None, ATTACK)),
        coming_card(ATTACK, ATTACK),
    ):
        assert "<img" not in markup(card) and "onerror=" in seen(card)
        assert set(re.findall(r"<(\w+)", markup(card))) <= {
            "a", "blockquote", "caption", "del", "details", "div", "li", "ol", "p", "span",
            "strong", "summary", "sup", "table", "tbody", "td", "th", "tr", "ul",
        }  # fmt: skip
        assert "style=" not in markup(card)


def test_what_does_not_print_is_left_out(replaced):
    odd = "a\x1b[31m\u202eb\x00\x85"
    given = dataclasses.replace(rejected(replaced, odd, ""), text=odd, notes=(odd,))
    for card in (answer_card(given), error_card(UsageError(odd)), coming_card(odd, odd)):
        assert not set("\x1b\u202e\x00\x85") & set(markup(card))


def test_a_ledger_that_fails_is_told_on_the_card():
    given = without_model("Where?", "Here.", "answered")
    card = answer_card(given, Written(None, "this is not in the ledger: the store is full"))
    assert "Error: this is not in the ledger: the store is full" in seen(card)
    assert "<a " not in markup(card) and "ledger" not in seen(answer_card(given))


def test_an_answer_that_comes_shows_what_there_is_and_what_is_waited_for():
    assert seen(coming_card("", "the model is asked")) == "the model is asked"
    assert seen(coming_card("On Friday", "more")) == "more On Friday"


def test_a_reply_is_an_answer_or_an_error(replaced, tool):
    written = Written("0123456789ab", None)
    shown = reply_card(Reply("NVDA", replaced, tool, written))
    assert markup(shown) == markup(answer_card(replaced, written))
    error = UsageError("there is no such day")
    shown = reply_card(Reply("NVDA", error, tool, written))
    assert markup(shown) == markup(error_card(error, written))
    assert "Error: there is no such day" in seen(shown) and "ledger/0123456789ab" in markup(shown)
