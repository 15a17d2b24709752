import math
import warnings

import numpy as np
import pytest
from arch.univariate import GARCH, ConstantMean, EWMAVariance, StudentsT, ZeroMean
from hmmlearn.hmm import GaussianHMM
from scipy.stats import norm
from scipy.stats import t as student_t

from belief import baselines, garch
from belief.drift import Drift
from belief.errors import FitError
from belief.fitted_model import FittedModel
from belief.forecast import NORMAL_SCORES, Outlook
from belief.observations import Observations, observe
from belief.sources import load_prices

NOTHING = Outlook(Drift(0.0, 0.0), np.zeros((0, 504)))
PROBABILITY = norm.cdf(NORMAL_SCORES)
# 5, 25, 50, 75 and 95 %, where simulations can be compared
MIDDLE = [
    int(np.argmin(np.abs(NORMAL_SCORES - score))) for score in (-1.65, -0.675, 0, 0.675, 1.65)
]
GARCHES = ("garch_t", "gjr_t")
HMMS = tuple(baselines.STATES)
REMEMBERING = ("ewma_t", *GARCHES, *HMMS)


@pytest.fixture(scope="module")
def nvda():
    return observe(load_prices("NVDA").until(np.datetime64("2011-01-03")))


@pytest.fixture(scope="module")
def fits(nvda):
    return {model: fitted(model, nvda) for model in baselines.NAMES}


def observed(log_return):
    n = len(log_return)
    session = np.datetime64("2000-01-03") + np.arange(n)
    return Observations(session, log_return, np.abs(log_return), log_return, np.zeros(n, bool))


def first(observations, n):
    return Observations(**{name: values[:n].copy() for name, values in vars(observations).items()})


def wrapped(model, observations, reached):
    return FittedModel(
        model=model,
        symbol="XYZ",
        parameters=reached.parameters,
        log_likelihood=reached.log_likelihood,
        n_iter=reached.n_iter,
        converged=reached.converged,
        trained_from=observations.session[0],
        trained_through=observations.session[-1],
        known_through=observations.session[-1],
        n_sessions=len(observations),
        fingerprint="0" * 64,
    )


def fitted(model, observations, start=None):
    return wrapped(model, observations, baselines.fit(model, observations, start))


def quantiles(fit, horizons, seed=7):
    return baselines.forecast_quantiles(fit, horizons, NOTHING, np.random.default_rng(seed))


def with_parameters(fit, **changed):
    parameters = {**fit.parameters, **{name: np.array(value) for name, value in changed.items()}}
    return FittedModel(**{**vars(fit), "parameters": parameters})


def by_name(fit):
    return {name: float(value) for name, value in fit.parameters.items()}


def arch_result(fit, observations):
    """arch's own account of the fitted parameters, in percent."""
    p, asymmetric = by_name(fit), fit.model == "gjr_t"
    peer = ConstantMean(
        100.0 * observations.log_return,
        volatility=GARCH(1, int(asymmetric), 1),
        distribution=StudentsT(seed=11),
        rescale=False,
    )
    gamma = [p["gamma"]] if asymmetric else []
    values = [100 * p["mean"], 1e4 * p["omega"], p["alpha"], *gamma, p["beta"], p["dof"]]
    return peer.fix(values)


def log_density(fit, parameters, log_return):
    """Exact log density of the next return."""
    p = parameters
    if fit.model == "random_walk":
        return norm.logpdf(log_return, scale=p["sd"])
    if fit.model == "random_walk_t":
        return student_t.logpdf(log_return, p["dof"], scale=p["scale"])
    if fit.model in HMMS:
        ahead = p["filtered"] @ p["transmat"]
        return np.log(ahead @ norm.pdf(log_return, p["mean"], p["sd"]))
    scale = np.sqrt(p["variance"] * (p["dof"] - 2.0) / p["dof"])
    return student_t.logpdf(log_return, p["dof"], loc=p["mean"], scale=scale)


def test_the_random_walk_is_the_normal_of_the_root_mean_square(nvda, fits):
    sd = math.sqrt(np.mean(nvda.log_return**2))
    fit = fits["random_walk"]
    assert fit.parameters["sd"] == pytest.approx(sd, rel=1e-14)
    expected = norm.logpdf(nvda.log_return, scale=sd).sum()
    assert fit.log_likelihood == pytest.approx(expected, rel=1e-12)
    for horizon, row in zip((1, 9, 504), quantiles(fit, [1, 9, 504]), strict=True):
        exact = norm.ppf(PROBABILITY, scale=sd * math.sqrt(horizon))
        np.testing.assert_allclose(row, exact, rtol=1e-9, atol=1e-12)


def test_the_students_random_walk_is_what_scipy_fits(nvda, fits):
    dof, _, scale = student_t.fit(nvda.log_return, floc=0.0)
    fit = fits["random_walk_t"]
    assert fit.parameters["dof"] == pytest.approx(dof, rel=2e-3)
    assert fit.parameters["scale"] == pytest.approx(scale, rel=1e-3)
    scipys = student_t.logpdf(nvda.log_return, dof, scale=scale).sum()
    assert scipys - 1e-6 <= fit.log_likelihood <= scipys + 1e-3


def test_the_ewma_is_that_of_arch(nvda, fits):
    peer = ZeroMean(
        100.0 * nvda.log_return,
        volatility=EWMAVariance(0.94),
        distribution=StudentsT(),
        rescale=False,
    ).fit(disp="off")
    fit = fits["ewma_t"]
    assert fit.parameters["dof"] == pytest.approx(float(peer.params["nu"]), rel=1e-3)
    log_likelihood = peer.loglikelihood + len(nvda) * math.log(100.0)
    assert fit.log_likelihood == pytest.approx(log_likelihood, abs=1e-4)
    variance = garch.variances(fit.parameters, nvda.log_return)
    np.testing.assert_allclose(
        1e2 * np.sqrt(variance[:-1]), peer.conditional_volatility, rtol=1e-10
    )
    ahead = peer.forecast(horizon=1).variance.to_numpy()[-1, 0]
    assert 1e4 * fit.parameters["variance"] == pytest.approx(ahead, rel=1e-10)


@pytest.mark.parametrize("model", GARCHES)
def test_garch_has_the_likelihood_and_the_volatility_of_arch(model, nvda, fits):
    fit = fits[model]
    peer = ConstantMean(
        100.0 * nvda.log_return,
        volatility=GARCH(1, int(model == "gjr_t"), 1),
        distribution=StudentsT(),
        rescale=False,
    ).fit(disp="off")
    log_likelihood = peer.loglikelihood + len(nvda) * math.log(100.0)
    assert fit.log_likelihood == pytest.approx(log_likelihood, rel=1e-12)
    assert fit.converged and fit.n_iter > 3
    variance = garch.variances(fit.parameters, nvda.log_return)
    np.testing.assert_allclose(
        1e2 * np.sqrt(variance[:-1]), peer.conditional_volatility, rtol=1e-10
    )
    densities = student_t.logpdf(
        nvda.log_return,
        fit.parameters["dof"],
        loc=fit.parameters["mean"],
        scale=np.sqrt(variance[:-1] * (1.0 - 2.0 / fit.parameters["dof"])),
    )
    assert fit.log_likelihood == pytest.approx(densities.sum(), rel=1e-10)


@pytest.mark.parametrize("model", GARCHES)
def test_the_variance_forecasts_are_those_of_arch(model, nvda, fits):
    fit, horizon = fits[model], 63
    ahead = arch_result(fit, nvda).forecast(horizon=horizon).variance.to_numpy()[-1]
    assert 1e4 * fit.parameters["variance"] == pytest.approx(ahead[0], rel=1e-10)
    drawn = garch.simulate_shocks(fit.parameters, [1, horizon], np.random.default_rng(1))
    spread = np.var(100.0 * drawn[1])
    # with 4.6 degrees of freedom the fourth moment, and so the error, is only just finite
    assert spread == pytest.approx(ahead.sum(), rel=0.15)


@pytest.mark.parametrize("model", GARCHES)
def test_the_simulated_quantiles_are_those_of_arch(model, nvda, fits):
    fit, horizons = fits[model], [1, 5, 21]
    peer = arch_result(fit, nvda)
    forecast = peer.forecast(horizon=21, method="simulation", simulations=20_000)
    paths = forecast.simulations.values[-1].cumsum(axis=1) / 100.0
    for horizon, row in zip(horizons, quantiles(fit, horizons), strict=True):
        theirs = paths[:, horizon - 1]
        np.testing.assert_allclose(
            row[MIDDLE], np.quantile(theirs, PROBABILITY[MIDDLE]), atol=0.045 * theirs.std()
        )


def test_after_a_fall_gjr_expects_more_than_after_a_rise(fits, nvda):
    last = nvda.log_return.copy()
    ahead = []
    for shock in (-0.1, 0.1):
        last[-1] = shock
        ahead.append(float(baselines.carry(fits["gjr_t"], observed(last.copy()))["variance"]))
    assert ahead[0] > 1.05 * ahead[1]


def test_a_warm_start_ends_where_a_cold_one_does(nvda, fits):
    for model in (*GARCHES, *HMMS):
        start = fitted(model, first(nvda, len(nvda) - 63))
        warm = baselines.fit(model, nvda, start)
        assert warm.log_likelihood >= fits[model].log_likelihood - 0.02
        if model in GARCHES:
            assert warm.n_iter < fits[model].n_iter


def test_returns_too_small_for_arch_are_fitted_in_a_finer_unit():
    log_return = 0.01 * np.random.default_rng(0).standard_t(5.0, 600)
    plain, small = (fitted("garch_t", observed(k * log_return)) for k in (1.0, 1e-3))
    assert small.converged
    assert small.log_likelihood - 600 * math.log(1e3) == pytest.approx(
        plain.log_likelihood, abs=0.05
    )


@pytest.mark.parametrize("model", HMMS)
def test_the_hidden_markov_model_has_the_likelihood_of_hmmlearn(model, nvda, fits):
    p = fits[model].parameters
    peer = GaussianHMM(len(p["mean"]))
    peer.startprob_, peer.transmat_ = p["startprob"], p["transmat"]
    peer.means_, peer.covars_ = 100.0 * p["mean"][:, None], 1e4 * p["sd"][:, None] ** 2
    percent = 100.0 * nvda.log_return[:, None]
    score = peer.score(percent) + len(nvda) * math.log(100.0)
    assert fits[model].log_likelihood == pytest.approx(score, rel=1e-10)
    # smoothed and filtered agree at the last session, and there alone
    np.testing.assert_allclose(p["filtered"], peer.predict_proba(percent)[-1], atol=1e-8)
    assert (np.diff(p["sd"]) > 0.0).all()


@pytest.mark.parametrize("model", HMMS)
def test_the_hidden_markov_model_is_no_worse_than_default_fits_of_hmmlearn(model, nvda):
    short, best = first(nvda, 600), -math.inf
    percent = 100.0 * short.log_return[:, None]
    for seed in range(10):
        peer = GaussianHMM(
            baselines.STATES[model], n_iter=500, implementation="scaling", random_state=seed
        )
        best = max(best, peer.fit(percent).score(percent))
    reached = baselines.fit(model, short, None)
    assert reached.log_likelihood >= best + len(short) * math.log(100.0) - 0.05


@pytest.mark.parametrize("model", HMMS)
def test_a_hidden_markov_model_forecasts_the_returns_it_would_draw(model, fits):
    p, horizon, n = fits[model].parameters, 10, 20_000
    rng = np.random.default_rng(3)
    state = rng.choice(len(p["sd"]), size=n, p=p["filtered"])
    total = np.zeros(n)
    for _ in range(horizon):
        moved = [rng.choice(len(row), size=n, p=row) for row in p["transmat"]]
        state = np.choose(state, moved)
        total += p["mean"][state] + p["sd"][state] * rng.standard_normal(n)
    row = quantiles(fits[model], [horizon])[0]
    np.testing.assert_allclose(
        row[MIDDLE], np.quantile(total, PROBABILITY[MIDDLE]), atol=0.03 * total.std()
    )


def test_one_session_ahead_the_quantiles_are_exact(fits):
    for model in baselines.NAMES:
        row, p = quantiles(fits[model], [1])[0], fits[model].parameters
        if model in HMMS:
            below = norm.cdf(row[:, None], p["mean"], p["sd"]) @ (p["filtered"] @ p["transmat"])
            np.testing.assert_allclose(below, PROBABILITY, rtol=1e-9)
        elif model != "random_walk":
            scale = p.get("scale", np.sqrt(p.get("variance", 0.0) * (1.0 - 2.0 / p["dof"])))
            exact = student_t.ppf(PROBABILITY, p["dof"], loc=p.get("mean", 0.0), scale=scale)
            np.testing.assert_allclose(row, exact, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("model", ["random_walk_t", "ewma_t"])
def test_beyond_one_session_independent_students_are_added_up(model, fits):
    p = fits[model].parameters
    scale = p.get("scale", np.sqrt(p.get("variance", 0.0) * (1.0 - 2.0 / p["dof"])))
    drawn = scale * np.random.default_rng(5).standard_t(p["dof"], (20, 100_000)).sum(axis=0)
    row = quantiles(fits[model], [1, 20])[1]
    expected = np.quantile(np.append(drawn, -drawn), PROBABILITY[MIDDLE])
    np.testing.assert_allclose(row[MIDDLE], expected, atol=0.03 * drawn.std())


@pytest.mark.parametrize("model", baselines.NAMES)
def test_every_row_increases_up_to_the_longest_horizon(model, fits):
    rows = quantiles(fits[model], [1, 2, 21, 252, 504])
    assert rows.shape == (5, len(NORMAL_SCORES))
    assert np.isfinite(rows).all() and (np.diff(rows, axis=1) > 0.0).all()
    assert (np.diff(rows[:, -1] - rows[:, 0]) > 0.0).all()


@pytest.mark.parametrize("model", baselines.NAMES)
def test_the_same_inputs_give_the_same_bytes_also_through_json(model, nvda, fits):
    again = FittedModel.from_json(fitted(model, nvda).to_json())
    for name, value in fits[model].parameters.items():
        assert value.tobytes() == again.parameters[name].tobytes(), name
    horizons = [1, 5, 63]
    assert quantiles(fits[model], horizons).tobytes() == quantiles(again, horizons).tobytes()


@pytest.mark.parametrize("model", baselines.NAMES)
def test_carried_over_its_own_observations_a_fit_stays_as_it_is(model, nvda, fits):
    carried = baselines.carry(fits[model], nvda)
    assert carried.keys() == fits[model].parameters.keys()
    for name, value in fits[model].parameters.items():
        np.testing.assert_array_equal(carried[name], value, err_msg=name)


@pytest.mark.parametrize("model", REMEMBERING)
def test_carried_on_the_state_moves_and_the_parameters_stay(model, nvda):
    fit = fitted(model, first(nvda, 2000))
    carried = baselines.carry(fit, nvda)
    state = "filtered" if model in HMMS else "variance"
    for name, value in fit.parameters.items():
        same = np.array_equal(carried[name], value)
        assert same == (name != state), name
    # one session at a time leads to the same place
    twice = with_parameters(fit, **baselines.carry(fit, first(nvda, 2300)))
    again = baselines.carry(twice, nvda)
    np.testing.assert_allclose(again[state], carried[state], rtol=1e-12)


@pytest.mark.parametrize("model", baselines.NAMES)
def test_garbage_after_the_cut_changes_nothing(model, nvda):
    clean, cut = fitted(model, first(nvda, 1500)), 1800
    garbage = nvda.log_return.copy()
    garbage[1500:] = np.random.default_rng(1).standard_normal(len(garbage) - 1500)
    fit = fitted(model, first(observed(garbage), 1500))
    for name, value in clean.parameters.items():
        assert value.tobytes() == fit.parameters[name].tobytes(), name
    garbage = nvda.log_return.copy()
    garbage[cut:] = np.nan
    carried = baselines.carry(clean, first(observed(garbage), cut))
    for name, value in baselines.carry(clean, first(nvda, cut)).items():
        np.testing.assert_array_equal(carried[name], value, err_msg=name)


@pytest.mark.parametrize("model", baselines.NAMES)
def test_draws_for_a_shorter_horizon_are_a_prefix_of_those_for_a_longer_one(model, fits):
    short, long = quantiles(fits[model], [1, 10]), quantiles(fits[model], [1, 10, 40])
    np.testing.assert_array_equal(short, long[:2])


def heavy(seed, n):
    return 0.001 * np.random.default_rng(seed).standard_cauchy(n)


@pytest.mark.parametrize("model", baselines.NAMES)
def test_short_and_wild_histories_are_forecast(model):
    calm = 0.01 * np.random.default_rng(0).standard_normal(299)
    often_zero = np.where(np.random.default_rng(1).random(299) < 0.45, 0.0, calm)
    crash = np.append(0.1 * calm, -2.0)
    for log_return in (calm[:250], heavy(0, 250), heavy(0, 2000), often_zero, crash):
        fit = fitted(model, observed(log_return))
        assert fit.parameters.get("dof", 3.0) >= 2.05
        rows = quantiles(fit, [1, 2, 504])
        assert np.isfinite(rows).all() and (np.diff(rows, axis=1) > 0.0).all()


@pytest.mark.parametrize("dof", [2.05, 4.0])
def test_a_variance_that_explodes_has_finite_quantiles(dof, fits):
    for alpha, gamma in ((0.07, 0.0), (0.0, 0.14)):
        wild = with_parameters(fits["gjr_t"], alpha=alpha, gamma=gamma, beta=0.97, dof=dof)
        rows = quantiles(wild, [1, 21, 504])
        assert np.isfinite(rows).all() and (np.diff(rows, axis=1) > 0.0).all()


@pytest.mark.parametrize("model", baselines.NAMES)
def test_returns_that_no_model_can_be_fitted_to_are_refused(model):
    calm = 0.01 * np.random.default_rng(0).standard_normal(300)
    with pytest.raises(FitError, match="249 returns are too few"):
        baselines.fit(model, observed(calm[:249]), None)
    with pytest.raises(FitError, match="more than half"):
        baselines.fit(model, observed(np.where(np.arange(300) < 160, 0.0, calm)), None)
    with pytest.raises(FitError, match="not a finite number"):
        baselines.fit(model, observed(np.append(calm, np.nan)), None)


def test_an_ewma_without_a_first_variance_is_refused():
    calm = 0.01 * np.random.default_rng(0).standard_normal(300)
    with pytest.raises(FitError, match="first 75 returns are all zero"):
        baselines.fit("ewma_t", observed(np.append(np.zeros(80), calm)), None)


def test_a_fit_of_arch_that_is_worse_than_a_normal_is_refused():
    quiet = np.zeros(200)
    early, late = (np.random.default_rng(seed).standard_normal(300) for seed in (0, 2))
    halted = np.concatenate([0.01 * early, quiet, 0.01 * late[:100]])
    with pytest.raises(FitError, match="arch fits GARCH to 600 returns worse than a normal"):
        baselines.fit("gjr_t", observed(halted), None)


def test_states_that_collapse_from_every_start_are_refused(monkeypatch, nvda):
    monkeypatch.setattr(baselines, "MIN_SD_SHARE", 100.0)
    with pytest.raises(FitError, match=r"cannot tell 2 states apart in \d+ returns"):
        baselines.fit("hmmlearn_2", nvda, None)


def test_an_unknown_baseline_is_named(nvda):
    with pytest.raises(ValueError, match="no baseline 'garch'; choose one of random_walk"):
        baselines.fit("garch", nvda, None)


def test_fitting_leaves_the_filters_of_warnings_alone(nvda):
    before = list(warnings.filters)
    baselines.fit("garch_t", first(nvda, 300), None)
    baselines.fit("hmmlearn_2", first(nvda, 300), None)
    assert warnings.filters == before


def test_before_2013_the_models_rank_as_a_quant_would_expect(nvda):
    everything = observe(load_prices("NVDA").until(np.datetime64("2013-01-02")))
    start = len(nvda)
    mean = {}
    for model in ("random_walk", "random_walk_t", "garch_t", "gjr_t", "hmmlearn_3"):
        fit = fitted(model, nvda)
        scores = [
            log_density(fit, baselines.carry(fit, first(everything, t)), everything.log_return[t])
            for t in range(start, len(everything))
        ]
        mean[model] = float(np.mean(scores))
    assert len(scores) > 490
    assert min(mean["gjr_t"], mean["garch_t"]) > mean["random_walk_t"] > mean["random_walk"]
    assert mean["random_walk"] < mean["hmmlearn_3"] < mean["gjr_t"]
    assert mean["gjr_t"] - mean["random_walk"] > 0.1
