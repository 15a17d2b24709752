"""What was asked is found again: by its words as they stand, and by its conversation."""

import json
import sys
from typing import NamedTuple

import pytest
from daily import assert_one_line_error, belief, evening
from sqlalchemy.dialects import postgresql
from stored import MADE_AT, answer_of, day, entry_of, made, one_line, opened

from belief import ledger
from belief.errors import UsageError
from belief.ledger import Entry, append
from belief_tools.ledger_search import find

PRICES = made()
AT = evening(day("2023-06-01"))
KINDS = ("question", "text", "rejected", "note")


class Said(NamedTuple):
    """An answer that is to be in the ledger."""

    question: str
    text: str = "About as much."
    rejected: str | None = None
    notes: tuple[str, ...] = ()
    made_at: str = MADE_AT
    symbol: str = "XYZ"
    place: tuple[str, int] | None = None
    stop_reason: str = "answered"


def entry(number: int, said: Said) -> Entry:
    place = () if said.place is None else zip(("conversation", "turn"), said.place, strict=True)
    return Entry(
        kind="answer",
        name=f"{number:012x}",
        made_at=said.made_at,
        live=True,
        model=None,
        origin=None,
        target=None,
        horizon=None,
        body={
            "question": said.question,
            "text": said.text,
            "result": {"summary": "a word of the tool"},
            "consulted_by": "none",
            "tool_calls": [],
            "prediction": None,
            "checks": {"passed": None, "findings": [], "rejected": said.rejected},
            "stop_reason": said.stop_reason,
            "notes": list(said.notes),
            "last_close": 50.0,
            **dict(place),
        },
    )


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("BELIEF_STORE", str(tmp_path / "belief.db"))
    with opened(tmp_path) as store:
        yield store


def keep(store, *said):
    with store.write() as connection:
        for number, each in enumerate(said, start=1):
            append(connection, each.symbol, [entry(number, each)])


def questions(store, *words, **chosen):
    with store.read() as connection:
        return [each.entry.body["question"] for each in find(connection, words, **chosen)]


# Words


@pytest.mark.parametrize("where", KINDS)
def test_a_word_is_found_wherever_a_person_or_a_model_said_it(store, where):
    said = {
        "question": Said("Zebra?"),
        "text": Said("asked", text="a zebra"),
        "rejected": Said("asked", rejected="the ZEBRA"),
        "note": Said("asked", notes=("one", "of zebras")),
    }[where]
    keep(store, Said("nothing of the kind"), said)
    assert questions(store, "zebra") == [said.question]


@pytest.mark.parametrize("word", ["summary", "last_close", "answered", "word of the tool", "[]"])
def test_what_only_the_record_is_made_of_is_not_found(store, word):
    keep(store, Said("asked"))
    assert questions(store, word) == []


def test_all_words_must_be_there_though_in_different_places(store):
    keep(store, Said("Nvidia in March?", text="$900"), Said("Nvidia in May?", text="$950"))
    assert questions(store, "nvidia", "900") == ["Nvidia in March?"]
    assert questions(store, "nvidia") == ["Nvidia in March?", "Nvidia in May?"]
    assert questions(store, "march", "950") == []


def test_words_in_one_argument_stand_beside_each_other_in_one_text(store):
    keep(store, Said("the last\n  close", text="of Nvidia"), Said("close to the last"))
    assert questions(store, "Last Close") == ["the last\n  close"]
    assert questions(store, "close of") == []


@pytest.mark.parametrize(
    ("word", "held"),
    [
        ("NAÏVE", "a naïve walk"),
        ("naïve", "A NAÏVE WALK"),
        ("100%", "up 100% by May"),
        ("a_b", "the a_b test"),
        ('"sure"', 'how "sure" are you'),
        ("c:\\new", "from C:\\new.csv"),
        ("either/or", "Either/Or?"),
        ("it's", "It's up?"),
        ("'); drop", "x'); DROP TABLE ledger"),
        ("nvidia", "NVIDIA"),
        ("NVİDİA", "NVİDİA kaç?"),
        ("nvi̇di̇a", "NVİDİA kaç?"),
        ("kelvin", "\u212aelvin"),
        ("株価", "英伟达的株価は"),
        ("😀", "up 😀"),
        ("What \udcff ?", "What ?"),
        ("a b", "a\x1bb"),
        ("u00ef", "u00ef as it stands"),
    ],
)
def test_a_word_is_found_as_it_stands_in_any_case(store, word, held):
    keep(store, Said("another"), Said(held))
    assert questions(store, word) == [held]


@pytest.mark.parametrize(
    ("word", "held"),
    [
        ("100%", "100 percent"),
        ("a_b", "acb"),
        ("nva", "nvidia"),
        ("nvxdxa", "nvidia"),
        ("u00ef", "naïve"),
        ("\\n", "line\nnext"),
        ("nnext", "line\nnext"),
        ("naive", "naïve"),
        ("/", "or"),
    ],
)
def test_a_word_stands_for_itself_alone(store, word, held):
    keep(store, Said(held, text=""))
    assert questions(store, word) == []


def test_no_other_letter_becomes_plain_than_the_sieve_knows():
    """JSON writes such a letter as an escape, which the sieve must let through."""
    odd = [
        char
        for char in map(chr, range(128, sys.maxunicode + 1))
        if any(letter.isascii() for letter in char.lower())
    ]
    assert sorted(json.dumps(char)[1:-1] for char in odd) == sorted(ledger.MADE_PLAIN)


@pytest.mark.parametrize("words", [["x" * 60_000], [f"w{k}" for k in range(5_000)], ["%/_" * 200]])
def test_words_of_any_number_and_length_are_looked_for(store, words):
    keep(store, Said("another"), Said(" ".join(words)))
    assert len(questions(store, *words)) == 1
    assert questions(store, *words, "zebra") == []


def test_only_answers_that_may_hold_the_words_are_read(store, monkeypatch):
    with store.write() as connection:
        append(connection, "XYZ", [entry_of(PRICES, horizon) for horizon in (1, 2)])
    keep(store, *(Said(f"USD in {2030 + k}?") for k in range(10)))
    read, real = [], ledger._recorded
    monkeypatch.setattr(ledger, "_recorded", lambda row: read.append(row.kind) or real(row))
    assert questions(store, "usd", "2034") == ["USD in 2034?"]
    assert read == ["answer"]
    assert len(questions(store, "usd")) == 10
    assert read == ["answer"] * 11


def test_postgresql_is_asked_for_the_same():
    sieve = ledger._may_hold(["100%", 'a_I/"ï']).compile(dialect=postgresql.dialect())
    assert str(sieve).count(" LIKE ") == str(sieve).count(" ESCAPE '/'") == 4
    assert list(sieve.params.values()) == ["%100/%%", "%a/__//%", "%\\u212a%", "%\\u0130%"]


# Which answers


def test_answers_of_one_symbol_or_since_a_day_alone_are_found(store):
    keep(
        store,
        Said("old", made_at="2023-01-02T23:59:59+00:00"),
        Said("new", made_at="2023-01-03T00:00:00+00:00"),
        Said("other", made_at="2023-01-04T00:00:00+00:00", symbol="ABC"),
    )
    assert questions(store, "about") == ["old", "new", "other"]
    assert questions(store, "about", symbol="XYZ") == ["old", "new"]
    assert questions(store, "about", since=day("2023-01-03")) == ["new", "other"]
    assert questions(store, "about", symbol="XYZ", since=day("2023-01-03")) == ["new"]


def test_a_conversation_is_found_whole_in_the_order_of_its_turns(store):
    keep(
        store,
        Said("second", symbol="ABC", place=("0123456789ab", 2)),
        Said("first", place=("0123456789ab", 1)),
        Said("tenth", place=("0123456789ab", 10)),
        Said("0123456789ab", place=("ffff00000000", 1)),
        Said("of none"),
    )
    assert questions(store, conversation="0123456789ab") == ["first", "second", "tenth"]
    assert questions(store, conversation=" 0123456789AB ") == ["first", "second", "tenth"]
    assert questions(store, "TENTH", conversation="0123") == ["tenth"]
    assert questions(store, conversation="ffff") == ["0123456789ab"]
    assert questions(store, conversation="abcd") == []


def test_the_beginning_of_two_conversations_is_refused(store):
    keep(store, Said("one", place=("01234567aaaa", 1)), Said("two", place=("01234567bbbb", 1)))
    with pytest.raises(UsageError) as error:
        questions(store, conversation="0123")
    assert "0123 begins more than one conversation" in one_line(error)


@pytest.mark.parametrize("asked", ["", "abc", "zzzz", "0123-456"])
def test_what_is_no_id_of_a_conversation_is_refused(store, asked):
    with pytest.raises(UsageError) as error:
        questions(store, conversation=asked)
    assert f"{asked!r} is no id of a conversation" in one_line(error)


@pytest.mark.parametrize("words", [[], [""], [" \t", "\x1b"]])
def test_nothing_to_look_for_is_refused(store, words):
    with pytest.raises(UsageError) as error:
        questions(store, *words)
    assert "nothing to look for" in one_line(error)


def test_answers_of_older_programs_are_found(store):
    with store.write() as connection:
        append(connection, "XYZ", [answer_of(PRICES, 2, None)])
    assert questions(store, "wohin") == ["Wohin?\ud83d"]
    finished = belief("ledger", "search", "wohin", at=AT)
    assert finished.code == 0 and "no conversation" in finished.out


# The command


def test_each_answer_is_three_lines_and_obeys_nothing(store):
    keep(
        store,
        Said("Zebra\x1b[2J\nof old?", text="So\r\nit\x9b2Jis.", place=("0123456789ab", 3)),
        Said("And zebras?", text="no prices of zebras", stop_reason="error"),
    )
    finished = belief("ledger", "search", "ZEBRA", at=AT)
    assert (finished.code, finished.err) == (0, "")
    assert finished.out.splitlines() == [
        "2023-01-02T10:00:00  000000000001  XYZ     conversation 0123456789ab, turn 3",
        "  question  Zebra [2J of old?",
        "  answer    So it 2Jis.",
        "2023-01-02T10:00:00  000000000002  XYZ     no conversation",
        "  question  And zebras?",
        "  error     no prices of zebras",
    ]


def test_answers_come_as_json_as_the_ledger_lists_them(store):
    keep(store, Said("naïve \x1b zebra", place=("0123456789ab", 1)), Said("other"))
    finished = belief("ledger", "search", "--json", "--conversation", "0123456789ab", at=AT)
    assert finished.code == 0 and finished.out.isascii() and "\x1b" not in finished.out
    told = json.loads(finished.out)
    assert [each["body"]["question"] for each in told["entries"]] == ["naïve \x1b zebra"]
    listed = json.loads(belief("ledger", "--json", at=AT).out)
    assert told["entries"] == listed["entries"][:1]


def test_nothing_found_is_one_line_and_exit_code_1(store):
    finished = belief("ledger", "search", "zebra", at=AT)
    assert (finished.code, finished.out, finished.err.count("\n")) == (1, "", 1)
    finished = belief("ledger", "search", "zebra", "--json", at=AT)
    assert (finished.code, json.loads(finished.out)) == (1, {"entries": []})


def test_what_cannot_be_looked_for_is_one_line_and_exit_code_2(store):
    assert_one_line_error(belief("ledger", "search", at=AT), 2, "nothing to look for")
    finished = belief("ledger", "search", "x", "--since", "yesterday", at=AT)
    assert_one_line_error(finished, 2, "yesterday", "YYYY-MM-DD")
    finished = belief("ledger", "search", "--conversation", "no\x1bid", at=AT)
    assert_one_line_error(finished, 2, "id of a conversation")


def test_options_of_the_search_choose_what_is_looked_through(store):
    keep(store, Said("zebra", symbol="ABC"), Said("zebra", made_at="2023-02-01T00:00:00+00:00"))
    for option in (("--symbol", "xyz"), ("--since", "2023-02-01")):
        out = belief("ledger", "search", "zebra", *option, at=AT).out
        assert out.count("question") == 1 and "000000000002" in out
