import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from belief.hmm import block_index
from belief.market import block_conditions, market_conditions, similarity
from belief.observations import observe
from belief.sources import load_prices

RETURNS = st.lists(
    st.sampled_from([0.0, 0.0, 0.013, -0.021, 0.2, -0.3, 1e-4, -5e-3]), min_size=1, max_size=400
)


def wild(seed, *, n_sessions=700):
    """Returns whose scale wanders, as those of a stock do."""
    rng = np.random.default_rng(seed)
    scale = 0.02 * np.exp(np.cumsum(0.07 * rng.standard_normal(n_sessions)))
    return scale * rng.standard_t(5.0, n_sessions)


def volatility_by_hand(log_return, half_life):
    """Volatility at the last session: every earlier one looked up and weighed by its age."""
    weights = [2.0 ** (-age / half_life) for age in range(len(log_return))]
    total = math.fsum(
        weight * float(log_return[-1 - age]) ** 2 for age, weight in enumerate(weights)
    )
    return math.sqrt(total / math.fsum(weights))


@pytest.mark.parametrize("session", [0, 1, 4, 30, 251, 252, 253, 699])
def test_a_row_is_what_a_slow_reading_of_the_returns_so_far_says(session):
    log_return = wild(1)
    known = log_return[: session + 1]
    closes = [math.exp(math.fsum(known[:n])) for n in range(session + 2)]
    expected = [
        math.log(volatility_by_hand(known, 21.0)),
        math.log(volatility_by_hand(known, 5.0) / volatility_by_hand(known, 126.0)),
        math.log(closes[-1] / max(closes[-252:])),
    ]
    np.testing.assert_allclose(
        market_conditions(log_return)[session], expected, rtol=1e-10, atol=1e-12
    )


def test_the_drawdown_forgets_a_high_after_252_closes():
    log_return = np.array([0.5, -0.2, *[0.0] * 300])
    drawdown = market_conditions(log_return)[:, 2]
    assert drawdown[0] == 0.0
    # the high is the close of row 0; row 251 is the last whose 252 closes still hold it
    np.testing.assert_allclose(drawdown[1:252], -0.2, rtol=1e-12)
    np.testing.assert_array_equal(drawdown[252:], 0.0)


def test_the_close_before_the_first_return_counts_for_the_drawdown():
    assert market_conditions(np.array([-0.1]))[0, 2] == pytest.approx(-0.1, rel=1e-12)


def test_a_burst_raises_the_short_volatility_over_the_long_one_and_then_sinks_below_it():
    log_return = np.full(600, 0.01)
    log_return[300:310] = -0.05
    ratio = market_conditions(log_return)[:, 1]
    assert ratio[299] == pytest.approx(0.0, abs=1e-12)
    assert ratio[309] > 0.5
    assert ratio[400] < -0.1


@pytest.mark.parametrize("n_sessions", [1, 2, 3, 17, 64, 250, 253, 511, 699])
def test_what_happens_later_changes_no_bit_of_the_rows_before(n_sessions):
    log_return = wild(2)
    before = market_conditions(log_return[:n_sessions])
    np.testing.assert_array_equal(market_conditions(log_return)[:n_sessions], before)
    other = log_return.copy()
    other[n_sessions:] = 0.9
    np.testing.assert_array_equal(market_conditions(other)[:n_sessions], before)


def test_the_rows_of_a_bundled_stock_are_the_same_bits_whatever_is_known_after():
    log_return = observe(load_prices("NVDA")).log_return
    whole = market_conditions(log_return)
    assert np.isfinite(whole).all()
    for n_sessions in (250, 1001, 3333, 6000):
        np.testing.assert_array_equal(
            market_conditions(log_return[:n_sessions]), whole[:n_sessions]
        )


@settings(max_examples=60, deadline=None)
@given(log_return=RETURNS)
def test_conditions_are_finite_whatever_the_returns(log_return):
    conditions = market_conditions(np.array(log_return))
    assert conditions.shape == (len(log_return), 3)
    assert np.isfinite(conditions).all()
    assert (conditions[:, 2] <= 0.0).all()


@pytest.mark.parametrize("value", [0.0, 0.01, -0.01])
def test_equal_returns_have_conditions_and_the_shapes_of_a_kernel(value):
    conditions = market_conditions(np.full(250, value))
    assert np.isfinite(conditions).all()
    np.testing.assert_allclose(conditions[:, 1], 0.0, atol=1e-12)
    kernel = similarity(block_conditions(conditions, 21), bandwidth=0.5)
    assert np.isfinite(kernel).all()


def test_prices_that_start_unmoved_look_like_nothing_that_comes_after():
    log_return = np.concatenate([np.zeros(60), wild(3)])
    conditions = block_conditions(market_conditions(log_return), 21)
    assert np.isfinite(conditions).all()
    kernel = similarity(conditions, bandwidth=2.0)
    np.testing.assert_array_equal(kernel[-20:, :2], 0.0)
    assert kernel[0, 1] == 1.0


@settings(max_examples=40, deadline=None)
@given(log_return=RETURNS, factor=st.floats(1e-3, 1e3))
def test_in_another_unit_the_level_shifts_the_ratio_stays_and_the_drawdown_scales(
    log_return, factor
):
    log_return = np.array([0.01, *log_return])
    before, after = market_conditions(log_return), market_conditions(factor * log_return)
    np.testing.assert_allclose(after[:, 0], before[:, 0] + math.log(factor), atol=1e-10)
    np.testing.assert_allclose(after[:, 1], before[:, 1], atol=1e-10)
    np.testing.assert_allclose(after[:, 2], factor * before[:, 2], atol=1e-12 * factor)


def test_moments_are_as_alike_in_another_unit():
    log_return = wild(4)
    kernels = [
        similarity(block_conditions(market_conditions(factor * log_return), 21), bandwidth=0.8)
        for factor in (1.0, 100.0)
    ]
    np.testing.assert_allclose(kernels[0], kernels[1], rtol=1e-9)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_return_that_is_not_finite_is_named(bad):
    with pytest.raises(ValueError, match=rf"log_return\[2\] is {bad}"):
        market_conditions(np.array([0.1, 0.2, bad, bad]))


def test_returns_in_more_than_one_row_are_named():
    with pytest.raises(ValueError, match=r"log_return has shape \(5, 1\)"):
        market_conditions(np.ones((5, 1)))


@pytest.mark.parametrize("n_sessions", [1, 2, 21, 22, 23, 43, 250])
@pytest.mark.parametrize("block_length", [1, 2, 21])
def test_a_block_looks_like_the_session_in_which_its_last_move_arrives(n_sessions, block_length):
    block = block_index(n_sessions - 1, block_length)
    arrival = [
        max(move for move in range(n_sessions - 1) if block[move] == b) + 1
        for b in sorted(set(block.tolist()))
    ]
    rows = block_conditions(np.arange(float(n_sessions))[:, None], block_length)
    assert rows.shape == (len(arrival), 1)
    assert rows[:, 0].tolist() == arrival
    assert not arrival or arrival[-1] == n_sessions - 1


def test_a_block_length_below_one_is_named():
    with pytest.raises(ValueError, match="block_length is 0"):
        block_conditions(np.ones((5, 3)), 0)


@pytest.mark.parametrize("bandwidth", [0.3, 1.0, 4.0])
def test_the_kernel_is_the_product_of_one_gaussian_per_condition(bandwidth):
    conditions = np.random.default_rng(5).normal([0.0, 5.0, -1.0], [0.1, 1.0, 30.0], (12, 3))
    kernel = similarity(conditions, bandwidth=bandwidth)
    for b in range(12):
        for a in range(12):
            expected = 1.0
            for column in conditions.T:
                # quartiles of 12 values lie a quarter and three quarters between two neighbours
                ranked = sorted(column.tolist())
                low = ranked[2] + 0.75 * (ranked[3] - ranked[2])
                high = ranked[8] + 0.25 * (ranked[9] - ranked[8])
                gap = (column[b] - column[a]) / (bandwidth * (high - low) / 1.3489795)
                expected *= math.exp(-0.5 * gap**2)
            assert kernel[b, a] == pytest.approx(expected, rel=1e-6)


def test_one_spread_apart_in_one_condition_is_worth_exp_minus_a_half():
    spread = 0.7
    column = spread * np.random.default_rng(6).standard_normal(20_000)
    column = np.sort(column)[::100]
    column[0], column[1] = 0.0, spread
    kernel = similarity(column[:, None], bandwidth=1.0)
    assert kernel[0, 1] == pytest.approx(math.exp(-0.5), abs=0.02)


def test_an_infinite_bandwidth_finds_all_moments_alike():
    conditions = np.random.default_rng(7).standard_normal((9, 3))
    np.testing.assert_array_equal(similarity(conditions, bandwidth=math.inf), 1.0)


def test_a_tiny_bandwidth_finds_only_equal_moments_alike():
    conditions = np.random.default_rng(8).standard_normal((9, 3))
    conditions[4] = conditions[1]
    expected = np.eye(9)
    expected[1, 4] = expected[4, 1] = 1.0
    for bandwidth in (1e-3, 1e-300):
        np.testing.assert_array_equal(similarity(conditions, bandwidth=bandwidth), expected)


@pytest.mark.parametrize("constant", [0.0, -4.6])
def test_a_condition_that_does_not_vary_contributes_nothing(constant):
    rng = np.random.default_rng(9)
    varying = rng.standard_normal((15, 1))
    # rounding is not variation
    still = constant + 1e-15 * rng.standard_normal((15, 1))
    np.testing.assert_array_equal(
        similarity(np.hstack([varying, still]), bandwidth=0.5), similarity(varying, bandwidth=0.5)
    )


def test_a_condition_that_is_mostly_equal_still_tells_moments_apart():
    conditions = np.zeros((20, 1))
    conditions[3] = -1.0
    kernel = similarity(conditions, bandwidth=1.0)
    # one in twenty stands out: the standard deviation is the root of .05 * .95
    assert kernel[0, 3] == pytest.approx(math.exp(-0.5 / (0.05 * 0.95)), rel=1e-9)
    assert kernel[0, 1] == 1.0


def test_one_absurd_moment_does_not_make_all_others_alike():
    conditions = np.random.default_rng(10).standard_normal((40, 3))
    absurd = np.vstack([conditions, np.full((1, 3), 1e6)])
    before = similarity(conditions, bandwidth=1.0)
    after = similarity(absurd, bandwidth=1.0)[:40, :40]
    np.testing.assert_allclose(after, before, atol=0.1)
    assert after.mean() < 0.5


def test_the_kernel_is_symmetric_and_from_nothing_to_one():
    kernel = similarity(block_conditions(market_conditions(wild(11)), 21), bandwidth=0.6)
    np.testing.assert_array_equal(kernel, kernel.T)
    np.testing.assert_array_equal(np.diag(kernel), 1.0)
    assert (kernel >= 0.0).all()
    assert (kernel <= 1.0).all()


@pytest.mark.parametrize("bandwidth", [0.0, -2.0, math.nan, -math.inf])
def test_a_bandwidth_that_is_not_positive_is_named(bandwidth):
    with pytest.raises(ValueError, match=f"bandwidth is {bandwidth}"):
        similarity(np.ones((3, 3)), bandwidth=bandwidth)


def test_conditions_that_are_not_finite_are_named():
    conditions = np.ones((4, 3))
    conditions[2, 1] = np.nan
    with pytest.raises(ValueError, match=r"conditions\[2, 1\] is nan"):
        similarity(conditions, bandwidth=1.0)


def test_conditions_in_one_row_are_named():
    with pytest.raises(ValueError, match=r"conditions has shape \(3,\)"):
        similarity(np.ones(3), bandwidth=1.0)


def test_the_input_arrays_stay_as_they_were():
    log_return = wild(12)
    before = log_return.copy()
    conditions = market_conditions(log_return)
    copy = conditions.copy()
    similarity(block_conditions(conditions, 21), bandwidth=1.0)
    np.testing.assert_array_equal(log_return, before)
    np.testing.assert_array_equal(conditions, copy)
