"""Filter and smoother against the published cases of statsmodels, and against hmmlearn.

statsmodels keeps `regime_transition[to, from, t]`, the step into t; here `transmat[t, from, to]`
leads from t to t + 1. An autoregression of order p is a chain whose state is the tuple
(S_t, ..., S_t-p) of regimes.
"""

from importlib import import_module
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
from hmmlearn.hmm import GaussianHMM
from scipy.stats import norm
from statsmodels.tsa.regime_switching.markov_regression import MarkovRegression

from belief.hmm import Filtered, Smoothed, forward_filter, smooth

# Log-likelihood as Stata 14 (manual of mswitch) or EViews prints it, and half its last digit. The
# case with -163.914049 is quoted with parameters of six digits, which move it by 2e-6.
PUBLISHED = {
    "TestFedFundsConst": (-508.63592, 5e-6),
    "TestFedFundsConstL1": (-264.71069, 5e-6),
    "TestFedFundsConstL1Exog": (-229.25614, 5e-6),
    "TestFedFundsConstL1Exog3": (-189.89493, 5e-6),
    "TestAreturnsConstL1Variance": (-745.7977, 5e-5),
    "TestMumpspcNoconstL1Variance": (131.7225, 5e-5),
    "TestHamiltonAR1Switch": (-186.7575, 5e-5),
    "TestHamiltonAR1SwitchTVTP": (-163.914049, 2e-6),
    "TestHamiltonAR2Switch": (-179.32354, 5e-6),
    "TestHamiltonAR4": (-181.26339, 5e-6),
    "TestFilardo": (-586.5718, 5e-5),
}


class Case(NamedTuple):
    """What statsmodels and we make of one published case; `tuples` are the regimes of a state."""

    name: str
    tuples: np.ndarray  # (K, order + 1), newest regime first
    transmat: np.ndarray
    forward: Filtered
    backward: Smoothed
    peer: object
    published: object


@pytest.fixture(scope="module")
def peers(request):
    """The two test modules of statsmodels: its series and what Stata and EViews say of them."""
    request.config.addinivalue_line("markers", "smoke: a marker of statsmodels' own tests")
    package = "statsmodels.tsa.regime_switching.tests"
    kinds = ("regression", "autoregression")
    return [import_module(f"{package}.test_markov_{kind}") for kind in kinds]


@pytest.fixture(scope="module", params=PUBLISHED)
def case(request, peers):
    (module,) = [peer for peer in peers if hasattr(peer, request.param)]
    source = getattr(module, request.param)
    source.setup_class()
    model = source.model
    tuples = np.array(list(product(range(model.k_regimes), repeat=model.order + 1)))
    chain = chain_of(model, source.true["params"], tuples)
    return Case(
        name=request.param,
        tuples=tuples,
        transmat=chain[1],
        forward=forward_filter(*chain),
        backward=smooth(*chain),
        peer=source.result.filter_results,
        published=module,
    )


def chain_of(model, params, tuples):
    """startprob, transmat and emission_logpdf, without the filter of statsmodels."""
    n_sessions, order = model.nobs, model.order
    into = model.regime_transition_matrix(params)
    into = np.broadcast_to(into, (*into.shape[:2], n_sessions + order))
    startprob = model.initial_probabilities(params)[tuples[:, -1]]
    for lag in range(order):
        startprob = startprob * into[tuples[:, lag], tuples[:, lag + 1], order - lag]
    transmat = np.zeros((n_sessions, len(tuples), len(tuples)))
    transmat[-1] = np.nan  # the first step of a forecast: nothing may read it
    for (i, before), (j, after) in product(enumerate(tuples), repeat=2):
        if (before[:-1] == after[1:]).all():
            transmat[:-1, i, j] = into[after[0], before[0], order + 1 :]
    mean = model.predict_conditional(params).reshape(len(tuples), n_sessions).T
    variance = [params[model.parameters[int(now), "variance"]].item() for now in tuples[:, 0]]
    emission_logpdf = norm.logpdf(model.endog[:, None], loc=mean, scale=np.sqrt(variance))
    return startprob, transmat, emission_logpdf


def by_tuple(joint, tuples):
    """(T, K) of a joint array of statsmodels, time last; regimes older than a tuple summed out."""
    return joint.reshape(len(tuples), -1, joint.shape[-1]).sum(axis=1).T


def by_regime(rows, tuples):
    """(T, regimes) of (T, K): the newest regime of each tuple."""
    newest = tuples[:, 0]
    return np.stack([rows[:, newest == k].sum(axis=1) for k in range(newest.max() + 1)], axis=1)


def table(case, name):
    """A table that statsmodels ships with its tests."""
    return pd.read_csv(Path(case.published.__file__).parent / "results" / name)


def test_the_log_likelihood_is_the_published_one_to_its_last_digit(case):
    log_likelihood, half_a_digit = PUBLISHED[case.name]
    for result in (case.forward, case.backward):
        assert result.log_likelihood == pytest.approx(log_likelihood, rel=0, abs=half_a_digit)
        assert result.log_likelihood == pytest.approx(case.peer.llf, rel=1e-13)


def test_the_filter_agrees_with_statsmodels_session_by_session(case):
    for ours, theirs in (
        (case.forward.predicted, case.peer.predicted_joint_probabilities),
        (case.forward.filtered, case.peer.filtered_joint_probabilities),
    ):
        np.testing.assert_allclose(ours, by_tuple(theirs, case.tuples), rtol=0, atol=1e-13)
    np.testing.assert_allclose(case.forward.log_predictive, case.peer.llf_obs, rtol=0, atol=1e-12)


def test_the_smoother_and_its_pairs_agree_with_statsmodels_session_by_session(case):
    joint = case.peer.smoothed_joint_probabilities
    np.testing.assert_allclose(
        case.backward.smoothed, by_tuple(joint, case.tuples), rtol=0, atol=1e-13
    )
    newest = np.eye(case.tuples.max() + 1)[case.tuples[:, 0]]  # (K, regimes), 1 where it is newest
    pairs = np.einsum("tij,ia,jb->tab", case.backward.transitions, newest, newest)
    older = tuple(range(2, joint.ndim - 1))
    np.testing.assert_allclose(
        pairs, joint.sum(axis=older)[..., 1:].transpose(2, 1, 0), rtol=0, atol=1e-13
    )


@pytest.mark.parametrize(
    ("case", "name", "prefix"),
    [
        ("TestFedFundsConst", "results_predict_fedfunds.csv", "const"),
        ("TestHamiltonAR2Switch", "results_predict_rgnp.csv", "switchar2"),
    ],
    indirect=["case"],
)
def test_probabilities_are_those_that_stata_prints(case, name, prefix):
    printed = table(case, name)
    for rows, suffix in (
        (case.forward.predicted, "p"),
        (case.forward.filtered, "f"),
        (case.backward.smoothed, "sm"),
    ):
        columns = printed[[f"{prefix}_{suffix}1", f"{prefix}_{suffix}2"]].dropna()
        np.testing.assert_allclose(by_regime(rows, case.tuples), columns, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("case", "prefix", "regime"),
    [
        ("TestHamiltonAR4", "hamilton_ar4", 1),
        ("TestHamiltonAR1Switch", "hamilton_ar1_switch", 0),
        ("TestHamiltonAR1SwitchTVTP", "hamilton_ar1_switch_tvtp", 0),
    ],
    indirect=["case"],
)
def test_probabilities_are_those_that_eviews_prints(case, prefix, regime):
    for rows, what in ((case.forward.filtered, "filtered"), (case.backward.smoothed, "smoothed")):
        printed = getattr(case.published, f"{prefix}_{what}")  # of parameters of six digits
        np.testing.assert_allclose(
            by_regime(rows, case.tuples)[:, regime], printed, rtol=0, atol=1e-5
        )


@pytest.mark.parametrize("case", ["TestFilardo"], indirect=True)
def test_probabilities_are_those_of_filardo(case):
    printed = table(case, "mar_filardo.csv").dropna()
    for rows, what in ((case.forward.filtered, "filtered"), (case.backward.smoothed, "smoothed")):
        np.testing.assert_allclose(
            by_regime(rows, case.tuples)[:, 0], printed[f"{what}_0"], rtol=0, atol=3e-6
        )


@pytest.mark.parametrize(
    "case", ["TestFedFundsConst", "TestHamiltonAR1SwitchTVTP", "TestFilardo"], indirect=True
)
def test_the_step_into_each_session_has_the_expected_duration_published_for_it(case):
    if case.name == "TestFilardo":
        printed = table(case, "mar_filardo.csv").dropna()[["duration0", "duration1"]].to_numpy()
    elif case.name == "TestHamiltonAR1SwitchTVTP":
        printed = np.array(case.published.expected_durations)  # EViews
    else:
        printed = np.tile([55.84689, 19.85754], (len(case.transmat), 1))  # Stata 14, estat duration
    for k in (0, 1):
        now_k = case.tuples[:, 0] == k
        stay = case.transmat[:-1, now_k][..., now_k].sum(axis=2)
        np.testing.assert_allclose(
            1.0 / (1.0 - stay), np.broadcast_to(printed[1:, [k]], stay.shape), rtol=1e-5
        )


def test_em_with_our_smoother_follows_hmmlearn_iteration_by_iteration(peers):
    returns = np.array(peers[0].areturns)[:, None]
    startprob, transmat = np.array([0.5, 0.5]), np.array([[0.9, 0.1], [0.1, 0.9]])
    mean, variance = np.array([0.5, 2.0]), np.array([0.25, 4.0])
    peer = GaussianHMM(
        2, covariance_type="diag", covars_prior=0, min_covar=1e-8, init_params="", n_iter=200, tol=0
    )
    peer.startprob_, peer.transmat_ = startprob, transmat
    peer.means_, peer.covars_ = mean[:, None], variance[:, None]
    peer.fit(returns)
    path = []
    for _ in peer.monitor_.history:
        emission_logpdf = norm.logpdf(returns, loc=mean, scale=np.sqrt(variance))
        posterior = smooth(
            startprob, np.broadcast_to(transmat, (len(returns), 2, 2)), emission_logpdf
        )
        path.append(posterior.log_likelihood)
        weight = posterior.smoothed / posterior.smoothed.sum(axis=0)
        startprob = posterior.smoothed[0]
        moves = posterior.transitions.sum(axis=0)
        transmat = moves / moves.sum(axis=1, keepdims=True)
        mean = (weight * returns).sum(axis=0)
        variance = (weight * (returns - mean) ** 2).sum(axis=0)
    np.testing.assert_allclose(path, peer.monitor_.history, rtol=1e-11)
    assert path[-1] == pytest.approx(-749.244114, rel=0, abs=1e-6)  # hmmlearn, best of 20


def test_a_start_tied_to_the_matrix_costs_the_likelihood_that_statsmodels_pays(peers):
    model = MarkovRegression(np.array(peers[0].areturns), k_regimes=2, switching_variance=True)
    params = model.fit(disp=False).params
    result = forward_filter(*chain_of(model, params, np.array([[0], [1]])))
    assert result.log_likelihood == pytest.approx(model.loglike(params), rel=1e-13)
    assert result.log_likelihood == pytest.approx(-749.426882, rel=0, abs=1e-6)
