import numpy as np
import oracles
import pytest
from scipy.stats import norm, t

from belief.errors import UsageError
from belief.few_state import N_PATHS, simulate_scales
from belief.fitted_model import FittedModel
from belief.forecast import NORMAL_SCORES, Forecast, normal_mixture_quantiles

SCALE, DOF = np.array([0.01, 0.03, 0.09]), 8.0
# every matrix entry differs, so that a transposed or a missing step shows
MATRIX = np.array([[0.20, 0.70, 0.10], [0.05, 0.35, 0.60], [0.15, 0.25, 0.60]])
FILTERED = np.array([0.7, 0.2, 0.1])
SURE = 1e9  # moves; so many leave no doubt about the matrix


def student_scales(dof, *, scale=0.02, n=10_000, seed=0):
    return scale * np.sqrt(dof / np.random.default_rng(seed).chisquare(dof, n))


def forecast_of(quantiles, *, last_close=822.79):
    return Forecast(
        symbol="XYZ",
        model="few_state",
        origin=np.datetime64("2024-03-01"),
        target=np.datetime64("2024-03-28"),
        horizon=19,
        last_close=last_close,
        log_return_quantile=quantiles,
    )


@pytest.fixture(scope="module")
def forecast():
    return forecast_of(normal_mixture_quantiles(0.01, student_scales(5.0), common_sd=0.005))


def model(*, filtered=FILTERED, counts=SURE * MATRIX, scale=SCALE, dof=DOF):
    """A fitted model reduced to what a simulation reads."""
    parameters = {
        "filtered": np.array(filtered),
        "transition_counts": np.array(counts),
        "scale": np.array(scale),
        "dof": np.array(dof),
    }
    return FittedModel(
        model="few_state",
        symbol="XYZ",
        parameters=parameters,
        log_likelihood=0.0,
        n_iter=1,
        converged=True,
        trained_from=np.datetime64("2020-01-02"),
        trained_through=np.datetime64("2024-03-01"),
        known_through=np.datetime64("2024-03-01"),
        n_sessions=1000,
        fingerprint="0" * 64,
    )


def simulated(fitted, horizons, *, seed=0):
    return simulate_scales(fitted, horizons, np.random.default_rng(seed))


@pytest.mark.parametrize("common_sd", [0.0, 0.01, 0.1])
@pytest.mark.parametrize("dof", [2.5, 5.0, 30.0])
def test_mixture_quantiles_are_roots_of_the_exact_cdf(dof, common_sd):
    scale = student_scales(dof)
    quantiles = normal_mixture_quantiles(0.004, scale, common_sd=common_sd)
    component = np.sqrt(scale**2 + common_sd**2)
    for position in range(0, len(NORMAL_SCORES), 24):
        exact = oracles.mixture_quantile(norm.cdf(NORMAL_SCORES[position]), 0.004, component)
        # far out, where the widest paths alone decide, a thousandth of the distance
        tolerance = 1e-4 if abs(NORMAL_SCORES[position]) <= 3.0 else 1e-3 * abs(exact)
        assert quantiles[position] == pytest.approx(exact, abs=tolerance)


def test_mixture_quantiles_of_very_small_returns_are_as_exact():
    quantiles = normal_mixture_quantiles(0.0, student_scales(5.0, scale=2e-8), common_sd=0.0)
    larger = normal_mixture_quantiles(0.0, student_scales(5.0), common_sd=0.0)
    np.testing.assert_allclose(quantiles * 1e6, larger, rtol=1e-8)


def test_mixture_quantiles_agree_with_drawn_returns():
    rng = np.random.default_rng(1)
    scale = student_scales(5.0)
    draws = -0.003 + np.sqrt(rng.choice(scale, 400_000) ** 2 + 0.01**2) * rng.normal(size=400_000)
    quantiles = normal_mixture_quantiles(-0.003, scale, common_sd=0.01)
    probability = norm.cdf(NORMAL_SCORES)
    for position in range(90, 271, 15):  # one in forty draws and fewer tell nothing
        below = np.mean(draws <= quantiles[position])
        p = probability[position]
        assert below == pytest.approx(p, abs=4.5 * np.sqrt(p * (1 - p) / len(draws)))


@pytest.mark.parametrize("n", [1, 50, 10_000])
def test_equal_components_give_the_quantiles_of_one_normal(n):
    quantiles = normal_mixture_quantiles(0.02, np.full(n, 0.03), common_sd=0.04)
    np.testing.assert_allclose(quantiles, 0.02 + 0.05 * NORMAL_SCORES, atol=1e-6)


def test_mixture_quantiles_increase_around_their_centre():
    quantiles = normal_mixture_quantiles(0.02, student_scales(3.0), common_sd=0.01)
    assert (np.diff(quantiles) > 0).all()
    assert quantiles[len(quantiles) // 2] == pytest.approx(0.02, abs=1e-15)
    np.testing.assert_allclose(quantiles + quantiles[::-1], 0.04, atol=1e-14)


def test_mixture_quantiles_do_not_depend_on_the_order_of_the_paths():
    scale = student_scales(4.0)
    shuffled = np.random.default_rng(3).permutation(scale)
    np.testing.assert_array_equal(
        normal_mixture_quantiles(0.0, scale, common_sd=0.01),
        normal_mixture_quantiles(0.0, shuffled, common_sd=0.01),
    )


@pytest.mark.parametrize("probability", [1e-9, 1e-5, 0.01, 0.25, 0.5, 0.9, 0.999, 1 - 1e-9])
def test_the_cdf_undoes_the_quantile(forecast, probability):
    price = forecast.quantile(probability)
    assert forecast.cdf(price) == pytest.approx(probability, rel=1e-6, abs=1e-12)


def test_quantiles_and_cdf_increase(forecast):
    prices = [forecast.quantile(p) for p in np.linspace(0.0005, 0.9995, 500)]
    assert (np.diff(prices) > 0).all()
    levels = [forecast.cdf(price) for price in np.geomspace(600.0, 1100.0, 500)]
    assert (np.diff(levels) > 0).all()


def test_a_log_normal_forecast_has_the_textbook_probabilities():
    quantiles = normal_mixture_quantiles(0.02, np.full(1, 0.1), common_sd=0.0)
    forecast = forecast_of(quantiles, last_close=50.0)
    assert forecast.median == pytest.approx(50.0 * np.exp(0.02), rel=1e-12)
    assert forecast.prob_up == pytest.approx(norm.cdf(0.2), rel=1e-6)
    assert forecast.prob_above(60.0) == pytest.approx(norm.sf((np.log(1.2) - 0.02) / 0.1), rel=1e-5)
    low, high = forecast.interval(0.9)
    assert low == pytest.approx(50.0 * np.exp(0.02 - 0.1 * norm.ppf(0.95)), rel=1e-6)
    assert high == pytest.approx(50.0 * np.exp(0.02 + 0.1 * norm.ppf(0.95)), rel=1e-6)


def test_median_interval_and_probabilities_tell_one_story(forecast):
    assert forecast.prob_above(forecast.median) == pytest.approx(0.5, abs=1e-12)
    assert forecast.prob_up == forecast.prob_above(forecast.last_close) > 0.5
    for level in (0.5, 0.9, 0.99):
        low, high = forecast.interval(level)
        assert low < forecast.median < high
        assert forecast.cdf(high) - forecast.cdf(low) == pytest.approx(level, abs=1e-9)
        assert forecast.cdf(low) == pytest.approx(forecast.prob_above(high), abs=1e-9)


def test_beyond_the_kept_quantiles_the_tails_go_on(forecast):
    scores = [norm.ppf(forecast.cdf(price)) for price in forecast_tail(forecast)]
    assert scores[0] < -4.5
    assert (np.diff(scores) > 0).all()


def forecast_tail(forecast):
    edge = forecast.last_close * np.exp(forecast.log_return_quantile[0])
    return edge * np.array([0.8, 0.85, 0.9, 0.95, 0.999])


@pytest.mark.parametrize("price", [5e-324, 1e-300, 1e-3, 1e6, 1e300, 1.7e308])
@pytest.mark.parametrize("last_close", [0.01, 822.79])
def test_extreme_prices_have_probabilities(forecast, price, last_close):
    wild = forecast_of(forecast.log_return_quantile, last_close=last_close)
    nearly_sure = 0.0 if price > last_close else 1.0
    assert 0.0 <= wild.prob_above(price) <= 1.0
    assert wild.prob_above(price) == pytest.approx(nearly_sure, abs=1e-4)


@pytest.mark.parametrize("probability", [0.0, 1.0, -0.1, 1.5, np.nan])
def test_a_probability_that_is_none_is_named(forecast, probability):
    with pytest.raises(UsageError, match=f"probability is {probability}"):
        forecast.quantile(probability)


@pytest.mark.parametrize("level", [0.0, 1.0, -0.5, 1.5, np.nan])
def test_a_level_that_is_none_is_named(forecast, level):
    with pytest.raises(UsageError, match=f"level is {level}"):
        forecast.interval(level)


@pytest.mark.parametrize("price", [0.0, -3.0, np.inf, np.nan])
def test_a_price_that_is_none_is_named(forecast, price):
    with pytest.raises(UsageError, match=f"price is {price}"):
        forecast.prob_above(price)


def test_one_session_ahead_is_the_exact_mixture_of_student_ts():
    scale = simulated(model(), [1])[0]
    weight = FILTERED @ MATRIX
    for x in (-0.3, -0.1, -0.04, -0.015, 0.005, 0.02, 0.06, 0.2):
        below = norm.cdf(x / scale)
        exact = weight @ t.cdf(x / SCALE, DOF)
        assert below.mean() == pytest.approx(exact, abs=4.0 * below.std() / np.sqrt(N_PATHS))


def test_the_variance_of_every_horizon_is_the_sum_of_the_expected_ones():
    scales = simulated(model(), range(1, 7))
    weight, expected = FILTERED, 0.0
    for ahead in range(6):
        weight = weight @ MATRIX
        expected += weight @ SCALE**2 * DOF / (DOF - 2.0)
        variance = scales[ahead] ** 2
        noise = variance.std() / np.sqrt(N_PATHS)
        assert variance.mean() == pytest.approx(expected, abs=4.0 * noise)


def test_two_sessions_ahead_agrees_with_drawing_states_and_returns():
    scale = simulated(model(), [2])[0]
    rng = np.random.default_rng(5)
    total = np.zeros(40_000)
    for path in range(len(total)):
        state = rng.choice(3, p=FILTERED)
        for _ in range(2):
            state = rng.choice(3, p=MATRIX[state])
            total[path] += SCALE[state] * rng.standard_t(DOF)
    for x in (-0.2, -0.08, -0.03, 0.01, 0.05, 0.12):
        below = norm.cdf(x / scale)
        p = np.mean(total <= x)
        noise = np.sqrt(p * (1 - p) / len(total) + below.var() / N_PATHS)
        assert below.mean() == pytest.approx(p, abs=4.0 * noise)


def test_each_path_keeps_its_own_draw_of_the_matrix():
    """The chance to stay is uniform: h stays have probability 1 / (h + 1), not 0.5^h."""
    counts = np.array([[1.0, 1.0], [1e-9, 1e9]])
    fitted = model(filtered=[1.0, 0.0], counts=counts, scale=[1e-9, 1.0])
    scales = simulated(fitted, [1, 2, 3, 7])
    for scale, horizon in zip(scales, [1, 2, 3, 7], strict=True):
        assert np.mean(scale < 1e-4) == pytest.approx(1.0 / (horizon + 1), abs=0.02)


def test_a_horizon_is_the_same_bits_alone_and_beside_longer_ones():
    table = simulated(model(), [1, 5, 20, 60])
    for row, horizon in enumerate([1, 5, 20, 60]):
        assert simulated(model(), [horizon])[0].tobytes() == table[row].tobytes()


def test_another_generator_gives_other_paths():
    assert not np.array_equal(simulated(model(), [5]), simulated(model(), [5], seed=1))


def test_a_longer_horizon_is_wider():
    scales = simulated(model(), [1, 2, 5, 21, 252])
    assert (np.diff(scales, axis=0) > 0).all()
