"""Played models of known errors: the harness finds exactly those, and drops nothing."""

import dataclasses
import json
import math
import threading
import time

import numpy as np
import pytest
from chat_server import chat_server, raw, text
from replayed import (
    HORIZON,
    NOTHING_KNOWN,
    ORIGINS,
    Played,
    Spoken,
    always_failing,
    as_told,
    by_name,
    contestants,
    history,
    knowing,
    plays,
    shaded,
    unmoved,
)

from belief.errors import LanguageModelError, UsageError
from belief.sessions import session_after
from belief_tools.arms import ARMS
from belief_tools.contestants import Contestant
from belief_tools.disguise import disguise_of
from belief_tools.evaluate import AFTER_CUTOFF, MASKED, MODES, PLAIN, Meter, Plan, Purse, evaluate
from belief_tools.tape import Exchange, NoModel, Tape
from belief_tools.trials import UNAIDED

CONSULTED = ("context", "tool")
BARE = ("none", "price", "band")
NAMES = ("oracle", "parrot", "shader", "stubborn", "broken")
REQUESTS = {"context": 2, "tool": 3}


def quiet(done, total):
    """No progress is shown."""


def outcomes(prices):
    """The closes that came, by true day, in dollars of the origins: before the split."""
    targets = [session_after(origin, HORIZON) for origin in ORIGINS]
    places = np.searchsorted(prices.session, targets)
    return {
        str(day): 4.0 * float(close)
        for day, close in zip(targets, prices.close[places], strict=True)
    }


@pytest.fixture(scope="module")
def prices():
    return history()


def planned(prices, models, origins=ORIGINS, **other):
    return Plan(prices, np.array(origins), (HORIZON,), tuple(models), **other)


@pytest.fixture(scope="module")
def run(prices, tmp_path_factory):
    """Five models of known errors in one run, and the tape it left."""
    path = tmp_path_factory.mktemp("run") / "tape.jsonl"
    models = {
        "oracle": plays(knowing(outcomes(prices))),
        "parrot": plays(as_told),
        "broken": always_failing,
    }
    played = [Played("shader", Spoken(plays(shaded))), Played("stubborn", Spoken(plays(unmoved)))]
    told = []
    with chat_server(by_name(models)) as server:
        plan = planned(prices, (*contestants(server.url, models), *played))
        rows = evaluate(plan, Tape(path), {}, lambda *done: told.append(done))
        asked = len(server.requests) + sum(len(each.spoken.requests) for each in played)
    return plan, path, rows, told, asked


@pytest.fixture(scope="module")
def rows(run):
    return run[2]


def chosen(rows, model, *, mode=PLAIN, arms=ARMS):
    found = [r for r in rows if (r["model"], r["mode"]) == (model, mode) and r["arm"] in arms]
    assert found
    return found


def beside(rows, row, arm):
    """The row of a forecast without a language model, of the same trial."""
    [found] = [r for r in rows if r["arm"] == arm and _trial(r) == _trial(row)]
    return found["own"]


def _trial(row):
    return row["origin"], row["horizon"]


def error(row):
    return abs(row["own"]["price"] / row["actual"] - 1.0)


# Models of known errors


def test_an_oracle_has_no_error_in_any_arm(rows):
    found = chosen(rows, "oracle")
    assert len(found) == len(ARMS) * len(ORIGINS)
    assert all(error(row) < 1e-12 for row in found)


def test_an_oracle_that_recalls_by_day_is_unmasked(rows):
    for row in chosen(rows, "oracle", mode=MASKED):
        factor = disguise_of("NVDA", np.datetime64(row["origin"])).factor
        assert math.isclose(row["own"]["price"], 500.0 / factor, rel_tol=1e-12)
        assert error(row) > 0.25


def test_one_that_repeats_the_tool_has_the_belief_s_own_error(rows):
    for row in chosen(rows, "parrot", arms=CONSULTED):
        belief = beside(rows, row, "belief")
        assert math.isclose(row["own"]["price"], belief["price"], abs_tol=0.0051)
    for row in chosen(rows, "parrot", arms=("price",)):
        assert math.isclose(row["own"]["price"], row["last_close"], abs_tol=0.0051)
    for row in chosen(rows, "parrot", arms=("band",)):
        assert math.isclose(row["own"]["price"], row["last_close"], abs_tol=0.0051)
        assert row["own"]["price"] != beside(rows, row, "belief")["price"]
    assert {r["own"]["price"] for r in chosen(rows, "parrot", arms=("none",))} == {NOTHING_KNOWN}


@pytest.mark.parametrize("mode", [PLAIN, MASKED])
def test_one_that_shades_every_price_is_found_to_be_ten_percent_off(rows, mode):
    right, high = (chosen(rows, name, mode=mode) for name in ("parrot", "shader"))
    for row, other in zip(right, high, strict=True):
        assert _trial(row) == _trial(other) and row["arm"] == other["arm"]
        assert math.isclose(other["own"]["price"], 1.1 * row["own"]["price"], rel_tol=1e-12)
        assert other["shown"] == row["shown"] or row["arm"] in BARE


def test_one_that_ignores_the_tool_gains_nothing_by_it(rows):
    found = chosen(rows, "stubborn")
    assert {row["own"]["price"] for row in found} == {500.0}
    errors = {arm: [error(r) for r in chosen(rows, "stubborn", arms=(arm,))] for arm in ARMS}
    assert all(each == errors["none"] for each in errors.values())


def test_one_that_computes_from_the_prompt_is_as_good_in_disguise(rows):
    for name in ("parrot", "shader"):
        plain, masked = (chosen(rows, name, mode=mode, arms=ARMS[1:]) for mode in (PLAIN, MASKED))
        for row, other in zip(plain, masked, strict=True):
            assert math.isclose(row["own"]["price"], other["own"]["price"], rel_tol=5e-5)


def test_models_are_ranked_by_their_known_errors(rows):
    def mean(name):
        return float(np.mean([error(row) for row in chosen(rows, name, arms=("tool",))]))

    assert mean("oracle") < mean("parrot") < mean("shader") < mean("stubborn")


@pytest.mark.parametrize("mode", [PLAIN, MASKED])
def test_one_that_always_fails_is_in_every_row_and_the_random_walk_stands_in(rows, mode):
    found = chosen(rows, "broken", mode=mode)
    assert len(found) == len(ARMS) * len(ORIGINS)
    for row in found:
        assert row["failed"] and row["own"] is None
        assert not (row["unusable"] or row["refused"] or row["replaced"])
        belief = beside(rows, row, "belief")
        shown = belief if row["arm"] in CONSULTED else row["random_walk"]
        assert row["random_walk"] == beside(rows, row, "random_walk")
        assert all(math.isclose(row["shown"][name], shown[name], rel_tol=1e-9) for name in shown)
        assert (row["prompt_tokens"], row["completion_tokens"]) == (None, None)


@pytest.mark.parametrize("mode", [PLAIN, MASKED])
def test_what_a_consultation_shows_is_the_belief_in_dollars_of_the_origin(rows, mode):
    for name in NAMES:
        for row in chosen(rows, name, mode=mode, arms=CONSULTED):
            belief = beside(rows, row, "belief")
            for figure, value in belief.items():
                assert math.isclose(row["shown"][figure], value, rel_tol=1e-9)


# Rows


def test_there_is_a_row_for_everything(rows):
    asked = len(NAMES) * 2 * len(ARMS) * len(ORIGINS)
    assert len(rows) == asked + len(UNAIDED) * len(ORIGINS)
    assert sum(row["model"] == "" for row in rows) == len(UNAIDED) * len(ORIGINS)
    named = {(r["model"], r["mode"], r["arm"], r["origin"], r["horizon"]) for r in rows}
    assert len(named) == len(rows)


def test_rows_are_in_order_of_model_mode_arm_and_origin(rows):
    arms, modes = (*UNAIDED, *ARMS), ("", "plain", "masked", "after-cutoff")
    keys = [
        (r["model"], modes.index(r["mode"]), arms.index(r["arm"]), r["origin"], r["horizon"])
        for r in rows
    ]
    assert keys == sorted(keys)


def test_rows_have_the_same_fields_and_are_plain_values(rows):
    [fields] = {tuple(sorted(row)) for row in rows}
    assert {"regime", "text", "seconds", "cost", "grounded"} <= set(fields)
    assert json.loads(json.dumps(rows, allow_nan=False)) == rows


def test_the_outcome_is_that_of_the_trial(rows, prices):
    came = outcomes(prices)
    assert all(math.isclose(row["actual"], came[row["target"]], rel_tol=1e-12) for row in rows)


def test_requests_and_tokens_are_counted(rows):
    for row in chosen(rows, "parrot"):
        requests = REQUESTS.get(row["arm"], 1)
        assert row["requests"] == requests
        assert (row["prompt_tokens"], row["completion_tokens"]) == (7 * requests, 3 * requests)
        assert row["seconds"] > 0.0 and row["cost"] is None  # whose prices nobody said


def test_progress_is_told_question_by_question(run):
    plan, _, _, told, _ = run
    assert plan.n_questions == len(NAMES) * 2 * len(ARMS) * len(ORIGINS)
    assert told == [(done, plan.n_questions) for done in range(1, plan.n_questions + 1)]


def test_nothing_is_asked_twice(run):
    _, path, _, _, asked = run
    assert len(Tape(path, only=True)) == len(path.read_text().splitlines()) == asked


# From the tape alone


def as_bytes(rows):
    return json.dumps(rows, ensure_ascii=False).encode()


@pytest.mark.parametrize("jobs", [1, 4])
def test_the_tape_alone_gives_the_same_rows_byte_for_byte(run, jobs):
    plan, path, rows, _, _ = run
    before = path.read_bytes()
    plan = dataclasses.replace(plan, jobs=jobs)
    assert as_bytes(evaluate(plan, Tape(path, only=True), {}, quiet)) == as_bytes(rows)
    assert path.read_bytes() == before


def test_a_question_that_is_not_on_the_tape_fails_alone(run, prices):
    plan, path, rows, _, _ = run
    other = dataclasses.replace(plan.contestants[1], name="new")
    plan = dataclasses.replace(plan, contestants=(plan.contestants[1], other), modes=(PLAIN,))
    found = evaluate(plan, Tape(path, only=True), {}, quiet)
    assert as_bytes(chosen(found, "parrot")) == as_bytes(chosen(rows, "parrot"))
    assert all(r["failed"] and r["requests"] == 0 for r in chosen(found, "new"))


# Interrupted


@pytest.fixture
def alone(prices):
    """One well-behaved model on a server, and the plan to ask it."""
    with chat_server(plays(as_told)) as server:
        yield server, planned(prices, contestants(server.url, ["parrot"]), ORIGINS[:1])


def test_a_run_that_was_interrupted_asks_only_the_rest(alone, tmp_path, rows):
    server, plan = alone
    path = tmp_path / "tape.jsonl"

    def interrupted(done, total):
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate(plan, Tape(path), {}, interrupted)
    first = len(server.requests)
    assert 4 <= first < 16
    with path.open("a") as file:
        file.write('{"name": "half a li')
    found = evaluate(plan, Tape(path), {}, quiet)
    assert len(server.requests) == 16 == len(Tape(path))  # 8 of each mode
    same = [r for r in rows if r["model"] in ("", "parrot") and r["origin"] == str(ORIGINS[0])]
    timeless = [[{**r, "seconds": 0} for r in each] for each in (found, same)]
    assert timeless[0] == timeless[1]


def test_a_failure_that_passed_is_asked_again_the_next_time(prices, tmp_path):
    well, path = plays(as_told), tmp_path / "tape.jsonl"
    broken = {"is": True}
    with chat_server(lambda r: always_failing(r) if broken["is"] else well(r)) as server:
        plan = planned(
            prices, contestants(server.url, ["m"]), ORIGINS[:1], arms=("price", "context")
        )
        first = evaluate(plan, Tape(path), {}, quiet)
        broken["is"] = False
        second = evaluate(plan, Tape(path), {}, quiet)
        assert evaluate(plan, Tape(path), {}, quiet) == second
    assert all(row["failed"] for row in first if row["model"])
    assert not any(row["failed"] for row in second)
    assert as_bytes(evaluate(plan, Tape(path, only=True), {}, quiet)) == as_bytes(second)


def test_a_model_that_cannot_be_had_ends_the_run(prices, tmp_path, monkeypatch):
    def connect(self, environ):
        raise LanguageModelError("the model cannot be fetched")

    monkeypatch.setattr(Contestant, "connect", connect)
    plan = planned(prices, contestants("http://127.0.0.1:9/v1", ["m"]), ORIGINS[:1])
    with pytest.raises(NoModel, match="cannot be fetched"):
        evaluate(plan, Tape(tmp_path / "tape"), {}, quiet)


# Limits


PRICED = {"dollars_in": 1e6, "dollars_out": 0.0}  # 7 dollars for each reply of the test server


def test_a_budget_ends_it_and_what_was_answered_is_kept(prices, tmp_path):
    path = tmp_path / "tape.jsonl"
    with chat_server(plays(as_told)) as server:
        models = contestants(server.url, ["m"], **PRICED)
        plan = planned(prices, models, ORIGINS[:1], modes=(PLAIN,), budget=20.0)
        with pytest.raises(UsageError) as error:
            evaluate(plan, Tape(path), {}, quiet)
        assert str(error.value) == (
            "the budget of $20 is spent ($21.0000); what was answered is kept: the same command "
            "goes on from there"
        )
        assert len(Tape(path)) == len(server.requests) == 3
        with pytest.raises(UsageError):
            evaluate(plan, Tape(path), {}, quiet)
        assert len(Tape(path)) == 6  # the budget is that of a run
        rows = evaluate(dataclasses.replace(plan, budget=1_000.0), Tape(path), {}, quiet)
        assert len(server.requests) == 8
    assert sum(row["cost"] for row in rows if row["model"]) == 56.0


def test_a_budget_is_that_of_all_models_together(prices, tmp_path):
    with chat_server(plays(as_told)) as server:
        models = contestants(server.url, ["a", "b"], **PRICED)
        plan = planned(prices, models, ORIGINS[:1], arms=("price",), budget=20.0)
        with pytest.raises(UsageError, match=r"^the budget of \$20 is spent"):
            evaluate(plan, Tape(tmp_path / "tape"), {}, quiet)
        assert len(server.requests) == 3


def test_a_replay_costs_nothing(run):
    plan, path, *_ = run
    priced = dataclasses.replace(plan.contestants[1], dollars_in=9e5, dollars_out=9e5)
    plan = dataclasses.replace(plan, contestants=(priced,), budget=0.01)
    rows = evaluate(plan, Tape(path, only=True), {}, quiet)
    assert chosen(rows, "parrot", arms=("price",))[0]["cost"] == 9.0


def test_a_server_that_does_not_count_tokens_cannot_be_held_to_a_budget(prices, tmp_path):
    content = {"choices": [{"message": {"content": "{}"}, "finish_reason": "stop"}]}
    with chat_server(lambda _: raw(content)) as server:
        plan = planned(prices, contestants(server.url, ["m"], **PRICED), ORIGINS[:1], budget=5.0)
        with pytest.raises(UsageError, match=r"^the server of m does not count tokens, so that no"):
            evaluate(plan, Tape(tmp_path / "tape"), {}, quiet)


def test_threads_do_not_lose_what_was_spent():
    purse = Purse(None)
    [model] = contestants("http://127.0.0.1:9/v1", ["m"], **PRICED)
    meter = Meter(model, None, purse)
    exchange = Exchange("n", "m", {}, {"prompt_tokens": 1, "completion_tokens": 0}, None, 0.0)
    threads = [
        threading.Thread(target=lambda: [meter.after(exchange) for _ in range(2_000)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert purse.spent == 8_000.0


def test_requests_keep_the_pace(prices, tmp_path):
    well, at = plays(as_told), []

    def timed(request):
        at.append(time.monotonic())
        return well(request)

    with chat_server(timed) as server:
        models = contestants(server.url, ["m"])
        plan = planned(prices, models, ORIGINS[:1], arms=BARE, per_minute=200.0, jobs=6)
        evaluate(plan, Tape(tmp_path / "tape"), {}, quiet)
    assert len(at) == 6 and at[-1] - at[0] > 0.8 * 5 * 0.3  # the first is late in connecting


# The cutoff


@pytest.mark.parametrize("modes", [(AFTER_CUTOFF,), MODES])
def test_after_cutoff_are_the_origins_after_the_model_s_own(prices, tmp_path, modes):
    with chat_server(plays(as_told)) as server:
        [old] = contestants(server.url, ["old"], cutoff=np.datetime64("2021-06-30"))
        [new] = contestants(server.url, ["new"], cutoff=ORIGINS[0])
        told = []
        plan = planned(prices, (old, new), arms=("price",), modes=modes)
        rows = evaluate(plan, Tape(tmp_path / "tape"), {}, lambda *done: told.append(done))
        n_plain = 4 if PLAIN in modes else 3  # asked once, however often they are reported
        assert len(server.requests) == n_plain + (4 if MASKED in modes else 0)
    after = {(r["model"], r["origin"]) for r in rows if r["mode"] == AFTER_CUTOFF}
    first, second = map(str, ORIGINS)
    assert after == {("old", first), ("old", second), ("new", second)}
    assert told[-1] == (plan.n_questions, plan.n_questions)
    if PLAIN in modes:
        for row in chosen(rows, "old", mode=AFTER_CUTOFF):
            assert {**row, "mode": PLAIN} in rows


def test_after_cutoff_needs_a_cutoff_and_an_origin_after_it(prices):
    url = "http://127.0.0.1:9/v1"
    with pytest.raises(UsageError, match=r"^m has no cutoff; add cutoff=YYYY-MM-DD to its --model"):
        planned(prices, contestants(url, ["m"]), modes=(AFTER_CUTOFF,))
    late = contestants(url, ["m"], cutoff=np.datetime64("2024-01-01"))
    with pytest.raises(UsageError, match=r"after the cutoff of a model; the last is 2021-07-14$"):
        planned(prices, late, modes=(AFTER_CUTOFF,))


# Several models


def test_two_of_the_same_name_are_refused(prices):
    with pytest.raises(UsageError, match=r"^the model m is named twice; each is asked once$"):
        planned(prices, contestants("http://127.0.0.1:9/v1", ["m", "n", "m"]))


def test_a_budget_needs_prices(prices):
    models = contestants("http://127.0.0.1:9/v1", ["m"])
    with pytest.raises(UsageError, match=r"^a budget needs in= and out=, the prices of m$"):
        planned(prices, models, budget=1.0)


def test_no_model_is_sent_the_key_of_another(prices, tmp_path):
    path = tmp_path / "tape.jsonl"
    environ = {"KEY_A": "sk-of-a-1", "KEY_B": "sk-of-b-2", "OPENAI_API_KEY": "sk-usual-3"}
    script = plays(as_told)
    with chat_server(script) as one, chat_server(script) as two, chat_server(script) as three:
        models = (
            Contestant("a", one.url, "KEY_A"),
            Contestant("b", two.url, "KEY_B"),
            Contestant("c", three.url, None),
        )
        plan = planned(prices, models, ORIGINS[:1], arms=("price", "tool"), modes=(PLAIN,), jobs=4)
        evaluate(plan, Tape(path), environ, quiet)
        sent = [{r.headers.get("authorization") for r in s.requests} for s in (one, two, three)]
        assert sent[:2] == [{"Bearer sk-of-a-1"}, {"Bearer sk-of-b-2"}]
        assert not any(key in str(sent[2]) for key in environ.values())
        assert {body["model"] for body in two.chats} == {"b"}
    assert not any(key in path.read_text() for key in environ.values())


def test_replies_are_cut_off_where_the_plan_says(prices, tmp_path):
    with chat_server(plays(as_told)) as server:
        plan = planned(prices, contestants(server.url, ["m"]), ORIGINS[:1], most_tokens=120)
        evaluate(plan, Tape(tmp_path / "tape"), {}, quiet)
        assert {body["max_tokens"] for body in server.chats} == {120}


def test_words_that_fail_the_checks_take_the_figures_with_them(prices, tmp_path):
    with chat_server(plays(as_told, says="It will be $5,000.")) as server:
        plan = planned(prices, contestants(server.url, ["liar"]), ORIGINS[:1])
        rows = evaluate(plan, Tape(tmp_path / "tape"), {}, quiet)
    for mode in (PLAIN, MASKED):
        for row in chosen(rows, "liar", mode=mode, arms=CONSULTED):
            assert row["replaced"] and row["own"] is None and row["grounded"] is False
            assert row["text"] == "It will be $5,000."
        assert all(row["own"] for row in chosen(rows, "liar", mode=mode, arms=BARE))


def test_text_without_figures_is_unusable_in_every_arm_alike(prices, tmp_path):
    with chat_server(lambda _: text("I cannot predict prices.")) as server:
        plan = planned(prices, contestants(server.url, ["shy"]), ORIGINS[:1], modes=(PLAIN,))
        rows = evaluate(plan, Tape(tmp_path / "tape"), {}, quiet)
    found = chosen(rows, "shy")
    assert all(row["unusable"] and row["refused"] and row["own"] is None for row in found)
