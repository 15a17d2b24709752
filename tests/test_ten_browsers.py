"""A short form of the benchmark of many people at the page at once, and that it sees faults."""

import dataclasses
import os
import sys
from pathlib import Path

import pytest
from published import fitted_through, put_in_service

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))

import ten_browsers

DAYS = ("2024-06-12", "2024-06-05", "2024-05-15")  # before and after a split, and the newest


@pytest.fixture
def environ(tmp_path):
    where = tmp_path / "belief.db"
    put_in_service(where, *fitted_through(DAYS[0]))
    return os.environ | {"BELIEF_STORE": str(where)}


def test_people_at_once_look_and_ask_and_each_sees_what_is_theirs(environ):
    tally = ten_browsers.run(0.1, 3, environ, DAYS)
    assert tally.faults() == []
    assert len(tally.answers) == tally.questions >= 3
    assert tally.visits
    assert all(
        words in "\n".join(ten_browsers.lines(tally)) for words in ("MB at the end", "median")
    )


def test_an_answer_that_names_somebody_else_is_counted(environ, monkeypatch):
    scripted = ten_browsers.scripted

    def mixed_up(request):
        answer = scripted(request)
        return dataclasses.replace(answer, content=answer.content.replace(b"Alder", b"Birch"))

    monkeypatch.setattr(ten_browsers, "scripted", mixed_up)
    tally = ten_browsers.run(0.0, 1, environ, DAYS[:1])
    assert any("Birch is seen" in fault for fault in tally.wrong)
    assert any("lacks 'Alder asks: '" in fault for fault in tally.wrong)
