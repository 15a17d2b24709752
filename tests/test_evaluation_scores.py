import math

import numpy as np
import pytest

from belief.scores import hac_lag, mean_difference
from belief.sessions import session_after
from belief_tools.evaluation_differences import (
    DRAWS,
    HARMS,
    HELPS,
    NO_DIFFERENCE,
    block_interval,
    compared,
    overlap,
)
from belief_tools.evaluation_rows import COLUMNS, trials_of
from belief_tools.evaluation_scores import recall, score

FIRST = np.datetime64("2016-01-04")
UNAIDED = ("belief", "garch_t", "random_walk")
ARMS = ("none", "price", "band", "context", "tool")
HORIZONS = (5, 21, 63)
REGIMES = ("calm", "normal", "turbulent")


def figures(price, *, wide=0.2, prob_up=0.5):
    """A prediction around a price; the interval is as wide as it is told, relative to it."""
    return {
        "price": price,
        "low": price * (1.0 - wide),
        "high": price * (1.0 + wide),
        "prob_up": prob_up,
    }


def market(n=40, *, step=57, seed=3, horizons=HORIZONS):
    """Trials of a market that walks at random, as the harness would describe them."""
    draw = np.random.default_rng(seed)
    for i in range(n):
        origin = session_after(FIRST, 1 + i * step)
        last = float(100.0 * math.exp(draw.normal()))
        for horizon in horizons:
            yield {
                "origin": str(origin),
                "target": str(session_after(origin, horizon)),
                "horizon": horizon,
                "regime": REGIMES[i % 3],
                "last_close": last,
                "actual": float(last * math.exp(0.02 * math.sqrt(horizon) * draw.normal())),
                "random_walk": figures(last, wide=0.03 * math.sqrt(horizon)),
            }


def row(trial, arm, own, *, model="m", mode="plain", **more):
    usual = {
        "model": "" if arm in UNAIDED else model,
        "mode": "" if arm in UNAIDED else mode,
        "arm": arm,
        **trial,
        "own": own,
        "shown": own or trial["random_walk"],
        "unusable": own is None,
        "refused": False,
        "replaced": False,
        "failed": False,
        "consulted_by": "model" if arm == "tool" else None,
        "grounded": own is not None if arm == "tool" else None,
        "requests": 1,
        "prompt_tokens": 100,
        "completion_tokens": 20,
        "seconds": 0.5,
        "cost": 0.001,
        "text": f"{arm} says so",
    }
    return {**usual, **more}


def last_close(trial):
    return trial["random_walk"]


def oracle(trial):
    up = float(trial["actual"] > trial["last_close"])
    return figures(trial["actual"], wide=0.0, prob_up=up)


def shaded(trial):
    """Ten percent below the truth."""
    return figures(0.9 * trial["actual"])


def rows_of(arms, trials=None, **more):
    """Rows of a model by what it says in each arm."""
    trials = list(market()) if trials is None else trials
    return [row(trial, arm, say(trial), **more) for arm, say in arms.items() for trial in trials]


def summary(scored, arm, horizon=None):
    [found] = [each for each in scored.summaries if (each.arm, each.horizon) == (arm, horizon)]
    return found


def headline(scored, arm="tool", base="price", score="error", of="own"):
    found = scored.difference(arm=arm, base=base, score=score, of=of, by="all")
    assert found is not None
    return found


def one_trial(actual, last=100.0):
    return {
        **next(market(1, horizons=(5,))),
        "last_close": last,
        "actual": actual,
        "random_walk": figures(last),
    }


@pytest.mark.parametrize(
    ("actual", "error", "interval", "brier", "covered"),
    [
        (110.0, 10.0 / 110.0, 30.0, 0.16, 1.0),
        (120.0, 20.0 / 120.0, 30.0, 0.16, 1.0),  # the upper end itself
        (130.0, 30.0 / 130.0, 30.0 + 200.0, 0.16, 0.0),  # 20 of them for each dollar above
        (85.0, 15.0 / 85.0, 30.0 + 100.0, 0.36, 0.0),
        (100.0, 0.0, 30.0, 0.36, 1.0),  # as high as the last close is not above it
    ],
)
def test_scores_are_those_computed_by_hand(actual, error, interval, brier, covered):
    said = {"price": 100.0, "low": 90.0, "high": 120.0, "prob_up": 0.6}
    found = trials_of([row(one_trial(actual), "price", said)]).own
    assert found.error == pytest.approx([error], rel=1e-12)
    assert found.interval == pytest.approx([interval], rel=1e-12)
    assert found.brier == pytest.approx([brier], rel=1e-12)
    assert found.covered.tolist() == [covered]


def test_the_interval_score_is_in_percent_of_the_last_close():
    said = {"price": 100.0, "low": 90.0, "high": 120.0, "prob_up": 0.6}
    found = trials_of([row(one_trial(125.0, last=50.0), "price", said)]).own
    assert found.interval == pytest.approx([2.0 * (30.0 + 20.0 * 5.0)], rel=1e-12)


def test_an_arm_that_shades_every_price_by_a_tenth_has_just_that_error():
    scored = score(rows_of({"tool": shaded, "price": oracle}))
    assert summary(scored, "tool").own.error == pytest.approx(0.1, abs=1e-12)
    assert headline(scored).mean == pytest.approx(0.1, abs=1e-12)
    assert headline(scored).verdict == HARMS
    assert headline(scored).t_value is None  # every difference is the same


def test_an_oracle_is_ranked_above_all_others():
    arms = {"tool": oracle, "price": last_close, "band": shaded, "none": shaded}
    scored = score(rows_of(arms) + rows_of({"belief": last_close}))
    assert summary(scored, "tool").own[:3] == (0.0, 0.0, 0.0)
    for base in ("price", "band", "none", "belief"):
        for name in ("error", "interval", "brier"):
            found = headline(scored, base=base, score=name)
            assert found.mean < 0.0 and found.verdict == HELPS, (base, name)


def test_a_model_that_ignores_the_tool_shows_no_difference():
    scored = score(rows_of({"tool": last_close, "price": last_close}))
    found = headline(scored)
    assert (found.mean, found.low, found.high, found.verdict) == (0.0, 0.0, 0.0, NO_DIFFERENCE)


def test_what_undoing_a_disguise_leaves_is_no_difference():
    def undone(trial):
        return figures(trial["last_close"] * (1.0 + 1e-12))

    scored = score(rows_of({"tool": undone, "price": lambda t: figures(t["last_close"])}))
    assert headline(scored).mean != 0.0
    assert headline(scored).verdict == NO_DIFFERENCE


@pytest.mark.parametrize(("off", "verdict"), [(4e-5, NO_DIFFERENCE), (6e-5, HARMS)])
def test_a_difference_that_would_be_shown_as_zero_is_none(off, verdict):
    def near(trial):
        return figures(trial["actual"] * (1.0 + off))

    found = headline(score(rows_of({"tool": near, "price": oracle})))
    assert found.mean == pytest.approx(off, rel=1e-6)
    assert found.low > 0.0 and found.verdict == verdict


def test_noise_of_the_same_size_in_both_arms_shows_no_difference():
    draw = np.random.default_rng(0)

    def noisy(trial):
        return figures(trial["last_close"] * (1.0 + 0.05 * draw.normal()))

    assert headline(score(rows_of({"tool": noisy, "price": noisy}))).verdict == NO_DIFFERENCE


def test_the_random_walk_stands_in_for_what_is_unusable_in_every_arm_alike():
    trials = list(market())
    arms = dict.fromkeys(ARMS, lambda trial: None)
    scored = score(rows_of(arms, trials) + rows_of({"random_walk": last_close}, trials))
    usual = summary(scored, "random_walk").own
    assert all(summary(scored, arm).own == usual for arm in ARMS)
    assert all(summary(scored, arm).n_stated == 0 for arm in ARMS)
    assert all(each.mean == 0.0 for each in scored.differences if each.of == "own")


def test_what_the_product_shows_does_not_count_as_the_models_own():
    trials = list(market())
    rows = rows_of({"price": last_close}, trials)
    rows += [row(trial, "tool", None, shown=oracle(trial)) for trial in trials]
    scored = score(rows)
    assert headline(scored, of="shown").verdict == HELPS
    assert headline(scored, of="own").verdict == NO_DIFFERENCE
    assert summary(scored, "tool").shown.error == 0.0
    assert summary(scored, "tool").own == summary(scored, "price").own


def test_gains_made_by_the_stand_in_alone_vanish_where_both_said_something():
    trials = list(market())
    rows = rows_of({"price": shaded}, trials)
    rows += [row(t, "tool", None if i % 2 else shaded(t)) for i, t in enumerate(trials)]
    scored = score(rows)
    assert headline(scored).mean != 0.0
    both = scored.difference(arm="tool", base="price", of="own", by="stated")
    assert both is not None and both.n == len(trials) // 2
    assert both.mean == 0.0


def test_horizons_and_regimes_are_compared_apart():
    def good_when_calm(trial):
        return oracle(trial) if trial["regime"] == "calm" else last_close(trial)

    scored = score(rows_of({"tool": good_when_calm, "price": last_close}))
    verdict = {
        (each.by, each.value): each.verdict
        for each in scored.differences
        if (each.base, each.of, each.score) == ("price", "own", "error")
    }
    assert verdict["regime", "calm"] == HELPS
    assert verdict["regime", "normal"] == verdict["regime", "turbulent"] == NO_DIFFERENCE
    assert {("horizon", "5"), ("horizon", "21"), ("horizon", "63"), ("all", "")} <= set(verdict)


def test_means_of_the_slices_add_up_to_the_mean_of_all():
    found = [
        each
        for each in score(rows_of({"tool": shaded, "price": last_close})).differences
        if (each.base, each.of, each.score) == ("price", "own", "error")
    ]
    [everything] = [each for each in found if each.by == "all"]
    for by in ("horizon", "regime"):
        parts = [each for each in found if each.by == by]
        assert sum(each.n for each in parts) == everything.n == 120
        total = sum(each.n * each.mean for each in parts)
        assert total == pytest.approx(everything.n * everything.mean, rel=1e-12)


def test_modes_and_models_are_kept_apart():
    trials = list(market())
    rows = rows_of({"tool": oracle, "price": last_close}, trials)
    rows += rows_of({"tool": shaded, "price": last_close}, trials, mode="masked")
    rows += rows_of({"tool": last_close, "price": last_close}, trials, model="other")
    scored = score(rows)
    verdict = {
        (each.model, each.mode): each.verdict
        for each in scored.differences
        if (each.base, each.of, each.score, each.by) == ("price", "own", "error", "all")
    }
    assert verdict == {
        ("m", "plain"): HELPS,
        ("m", "masked"): HARMS,
        ("other", "plain"): NO_DIFFERENCE,
    }


def test_trials_that_only_one_arm_has_are_counted_and_left_out():
    trials = list(market())
    scored = score(
        rows_of({"tool": shaded}, trials[:100]) + rows_of({"price": last_close}, trials[7:])
    )
    [pair] = [each for each in scored.left_out if each.base == "price" and each.arm == "tool"]
    assert (pair.n, pair.only_arm, pair.only_base) == (93, 7, 20)
    assert headline(scored).n == 93
    [missing] = [each for each in scored.left_out if each.base == "band"]
    assert (missing.n, missing.only_arm, missing.only_base) == (0, 100, 0)
    assert scored.difference(base="band") is None


def test_the_order_of_the_rows_changes_nothing():
    rows = rows_of({"tool": shaded, "price": last_close})
    there, back = score(rows), score(rows[::-1])
    assert headline(there) == headline(back)


def test_the_same_rows_give_the_same_scores_again():
    rows = rows_of({"tool": shaded, "price": last_close})
    assert score(rows).differences == score(rows).differences


@pytest.mark.parametrize("step", [57, 9])
def test_the_t_value_is_that_of_the_mean_differences_of_the_origins(step):
    trials = list(market(60, step=step))
    scored = score(rows_of({"tool": shaded, "price": last_close}, trials))
    own = scored.trials.own.error
    tool, price = (np.array(scored.trials.find("m", "plain", arm)) for arm in ("tool", "price"))
    gain = (own[tool] - own[price]).reshape(60, 3).mean(axis=1)
    expected = mean_difference(gain, hac_lag(60, horizon=63, step=step)).t_value
    assert headline(scored).t_value == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("step", "inside"), [(63, 0), (62, 1), (21, 2), (10, 6), (1, 62)])
def test_windows_overlap_as_far_as_the_spacing_of_the_origins_says(step, inside):
    trials = list(market(80, step=step, horizons=(63,)))
    origin, target = (
        np.array([t[k] for t in trials], "datetime64[D]") for k in ("origin", "target")
    )
    assert overlap(origin, target) == inside


def test_overlapping_windows_are_not_counted_as_evidence_twice():
    scored = score(rows_of({"tool": shaded, "price": last_close}, list(market(60, step=21))))
    by = {each.value: each for each in scored.differences if each.by == "horizon"}
    assert by["5"].n_windows == by["21"].n_windows == 60
    assert by["63"].n_windows == 20 and not by["63"].few
    assert headline(scored).n_windows == 20  # a trial of 63 sessions is among those of each origin


def test_fewer_than_twenty_windows_are_marked():
    arms = {"tool": shaded, "price": last_close}
    assert headline(score(rows_of(arms, list(market(19, step=70))))).few
    assert not headline(score(rows_of(arms, list(market(20, step=70))))).few


def test_a_single_origin_gives_no_interval_and_no_verdict():
    found = headline(score(rows_of({"tool": shaded, "price": oracle}, list(market(1)))))
    assert (found.low, found.high, found.t_value) == (None, None, None)
    assert found.verdict == NO_DIFFERENCE


def test_the_bootstrap_interval_covers_the_true_mean_about_as_often_as_it_says():
    draw = np.random.default_rng(1)
    count, hits = np.ones(200), 0
    for _ in range(200):
        noise = draw.normal(size=203)
        moving = 1.0 + noise[3:] + noise[2:-1] + noise[1:-2] + noise[:-3]  # four windows overlap
        [[low, high]] = block_interval(moving[:, None], count, 12)
        hits += low <= 1.0 <= high
    assert 0.78 <= hits / 200 <= 0.96


def test_blocks_shorter_than_the_overlap_would_make_the_interval_too_narrow():
    draw = np.random.default_rng(2)
    noise = draw.normal(size=440).cumsum()
    moving = (noise[40:] - noise[:-40])[:, None]
    narrow, wide = (block_interval(moving, np.ones(400), length)[0] for length in (1, 40))
    assert np.diff(wide) > 1.5 * np.diff(narrow)


def test_the_blocks_of_a_comparison_are_as_long_as_its_windows_overlap():
    noise = np.random.default_rng(2).normal(size=440).cumsum()
    gain = np.tile((noise[40:] - noise[:-40])[:, None], len(COLUMNS))
    origin = np.arange(FIRST, FIRST + 400)
    apart, overlapping = (
        next(iter(compared(gain, 0.0 * gain, origin, origin + days))) for days in (1, 40)
    )
    assert overlapping["high"] - overlapping["low"] > 1.5 * (apart["high"] - apart["low"])


def test_every_draw_has_as_many_origins_as_there_are():
    ends = block_interval(np.array([[0.0], [0.0], [1.0], [0.0], [1.0]]), np.ones(5), 2)
    assert 5.0 * ends == pytest.approx(np.round(5.0 * ends), abs=1e-9)  # fifths, not sixths


def test_without_overlap_the_interval_is_as_wide_as_independent_differences_make_it():
    gain = np.random.default_rng(4).normal(size=400)
    [[low, high]] = block_interval(gain[:, None], np.ones(400), 1)
    assert high - low == pytest.approx(2 * 1.645 * gain.std() / 20.0, rel=0.2)
    assert low < gain.mean() < high
    assert DRAWS == 2000


def test_trials_of_one_origin_are_drawn_together():
    """Five copies of a trial are no more evidence than one."""
    origin = np.array([FIRST + 10 * i for i in range(50)], "datetime64[D]")
    arm = np.random.default_rng(5).normal(size=(50, len(COLUMNS)))
    once = list(compared(arm, 0.0 * arm, origin, origin + 5))
    many, days = np.repeat(arm, 5, axis=0), np.repeat(origin, 5)
    often = list(compared(many, 0.0 * many, days, days + 5))
    for one, five in zip(once, often, strict=True):
        for name in ("mean", "low", "high", "t_value"):
            assert five[name] == pytest.approx(one[name], rel=1e-9)


def test_shares_and_totals_are_counted():
    trials = list(market(10, horizons=(5,)))
    rows = [
        row(
            trial,
            "tool",
            None if i < 4 else last_close(trial),
            unusable=i < 1,
            refused=i < 2,
            replaced=i in (2, 3),
            failed=i == 9,
            consulted_by=("model", "host")[i < 3],
            grounded=None if i == 9 else i > 3,
            prompt_tokens=None if i == 5 else 100,
            cost=None if i == 5 else 0.25,
        )
        for i, trial in enumerate(trials)
    ]
    found = summary(score(rows), "tool")
    assert (found.n, found.n_stated, found.requests, found.seconds) == (10, 6, 10, 5.0)
    assert (found.unusable, found.refused, found.replaced, found.failed) == (0.1, 0.2, 0.2, 0.1)
    assert found.consulted == {"host": 0.3, "model": 0.7}
    assert (found.grounded, found.n_checked) == (5 / 9, 9)
    assert (found.prompt_tokens, found.completion_tokens, found.n_uncounted) == (900, 200, 1)
    assert (found.cost, found.n_unpriced) == (2.25, 1)


def test_an_arm_whose_texts_are_not_checked_is_not_called_grounded():
    found = summary(score(rows_of({"price": last_close})), "price")
    assert (found.grounded, found.n_checked, found.consulted) == (None, 0, {})


def test_a_model_that_recalls_is_unmasked():
    probe = [
        {"model": name, "day": f"2020-01-{day:02}", "said": said, "actual": 60.0, "knows": knows}
        for name, said, knows in (("recalls", 60.0, True), ("guesses", 75.0, False))
        for day in range(2, 12)
    ]
    probe.append({**probe[-1], "day": "2020-01-13", "said": None})
    knows, guesses = recall(probe)
    assert (knows.model, knows.n, knows.n_said, knows.share) == ("recalls", 10, 10, 1.0)
    assert (guesses.n, guesses.n_said, guesses.n_known) == (11, 10, 0)
    assert score([], probe=probe).recall == (knows, guesses)


def spoilt(**changes):
    rows = rows_of({"tool": shaded, "price": last_close}, list(market(3)))
    rows[-1] = {**rows[-1], **changes}
    return rows


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"actual": 1.0}, "actual .* is 1.0"),
        ({"random_walk": figures(1.0)}, "random_walk"),
        ({"last_close": -1.0}, "not a price"),
        ({"actual": math.nan}, "not a price"),
        ({"own": {**figures(1.0), "price": math.nan}}, "own .* not a prediction"),
        ({"own": {**figures(1.0), "low": 2.0, "high": 1.0}}, "own .* not a prediction"),
        ({"own": figures(1.0, prob_up=1.5)}, "own .* not a prediction"),
        ({"shown": None}, "shown .* not a prediction"),
    ],
)
def test_rows_that_cannot_be_are_refused_by_name(changes, words):
    with pytest.raises(ValueError, match=words):
        score(spoilt(**changes))


def test_a_row_that_comes_twice_is_refused():
    rows = spoilt()
    with pytest.raises(ValueError, match="twice"):
        score([*rows, rows[0]])


def test_scores_cannot_be_changed_afterwards():
    trials = trials_of(rows_of({"tool": shaded}))
    with pytest.raises(ValueError, match="read-only"):
        trials.own.error[0] = 0.0
