import numpy as np
import pytest

from belief.drift import PRIOR_MEAN, PRIOR_SD, posterior_drift


def returns(seed, *, n=600, mean=0.002, sd=0.03):
    return np.random.default_rng(seed).normal(mean, sd, n)


@pytest.mark.parametrize("seed", range(4))
def test_equal_weights_give_the_textbook_posterior_of_a_normal_mean(seed):
    log_return = returns(seed)
    error_variance = np.var(log_return) / len(log_return)
    precision = 1.0 / PRIOR_SD**2 + 1.0 / error_variance
    drift = posterior_drift(log_return, half_life=np.inf)
    expected = (PRIOR_MEAN / PRIOR_SD**2 + log_return.mean() / error_variance) / precision
    assert drift.mean == pytest.approx(expected, rel=1e-10)
    assert drift.sd == pytest.approx(precision**-0.5, rel=1e-10)


def test_the_posterior_is_proportional_to_prior_times_likelihood_of_the_weighted_mean():
    log_return, half_life = returns(9), 120.0
    weight = np.array([2.0 ** (-(599 - t) / half_life) for t in range(600)])
    mean = np.average(log_return, weights=weight)
    variance = np.average((log_return - mean) ** 2, weights=weight)
    error_sd = np.sqrt(variance * (weight**2).sum()) / weight.sum()
    grid = np.linspace(-0.004, 0.004, 200_001)
    log_density = -0.5 * ((grid - PRIOR_MEAN) / PRIOR_SD) ** 2
    log_density -= 0.5 * ((mean - grid) / error_sd) ** 2
    density = np.exp(log_density - log_density.max())
    density /= density.sum()
    drift = posterior_drift(log_return, half_life=half_life)
    assert drift.mean == pytest.approx((grid * density).sum(), rel=1e-6)
    expected_sd = np.sqrt((grid**2 * density).sum() - (grid * density).sum() ** 2)
    assert drift.sd == pytest.approx(expected_sd, rel=1e-5)


@pytest.mark.parametrize("mean", [-0.01, -0.001, 0.001, 0.01])
def test_the_drift_lies_between_prior_and_sample_and_is_surer_than_the_prior(mean):
    log_return = returns(3, mean=mean)
    low, high = sorted([PRIOR_MEAN, log_return.mean()])
    drift = posterior_drift(log_return, half_life=np.inf)
    assert low < drift.mean < high
    assert 0.0 < drift.sd < PRIOR_SD


def test_the_newest_returns_count_most():
    rising = np.concatenate([np.full(300, -0.001), np.full(300, 0.001)]) + returns(5, mean=0.0)
    forward = posterior_drift(rising, half_life=50.0)
    backward = posterior_drift(rising[::-1], half_life=50.0)
    assert forward.mean > backward.mean


def test_a_shorter_memory_is_less_sure():
    log_return = returns(6)
    sds = [posterior_drift(log_return, half_life=h).sd for h in (50.0, 200.0, 1000.0, np.inf)]
    assert sds == sorted(sds, reverse=True)
    assert sds[0] > 1.02 * sds[-1]
