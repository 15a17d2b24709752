"""Walk forward over a history: refit, then filter what came after, one step ahead at a time."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

import numpy as np
from joblib import Parallel, delayed
from scipy.stats import norm

from belief import few_state, few_state_fit
from belief.hmm import forward_filter
from belief.mixture import mixed_log_score, online_weights

WINDOW = 1000


class Steps(NamedTuple):
    """What one estimator said of each session before it knew it: T sessions, K states."""

    log_predictive: np.ndarray  # (T,) nats
    filtered: np.ndarray  # (T, K) belief once the session was known
    transmat: np.ndarray  # (T, K, K) matrix by which the session was forecast


Fitter = Callable[[np.ndarray, few_state_fit.Fit, np.ndarray], Steps]


def static(past, static_fit, upto):
    return _ahead(static_fit, past, upto)


def windowed(past, static_fit, upto, *, n_states=3):
    """The static fit to the last sessions alone."""
    cut = max(0, len(past) - WINDOW)
    fit = few_state_fit.fit_static(past[cut:], n_states=n_states)
    return _ahead(fit, past[cut:], upto[cut:])


def memory(past, static_fit, upto, **settings):
    fit = few_state_fit.fit_weighted_memory(past, static_fit, **settings)
    return _ahead(fit, past, upto)


def bounded(past, static_fit, upto, **settings):
    fit = few_state_fit.fit_change_bounded(past, static_fit, **settings)
    return _ahead(fit, past, upto)


def hmmlearn(past, static_fit, upto, *, window=None, n_states=3, seeds=range(3)):
    """Gaussian HMM of hmmlearn, best of several seeds, in percent as its priors expect."""
    from hmmlearn.hmm import GaussianHMM

    cut = 0 if window is None else max(0, len(past) - window)
    percent, models = 100.0 * past[cut:, None], []
    for seed in seeds:
        model = GaussianHMM(n_states, n_iter=200, implementation="scaling", random_state=seed)
        models.append((model.fit(percent).score(percent), seed, model))
    model = max(models)[2]
    order = np.argsort(model.covars_.ravel())
    sd = np.sqrt(model.covars_.ravel()[order]) / 100.0
    logpdf = norm.logpdf(upto[cut:, None], model.means_.ravel()[order] / 100.0, sd)
    matrix = model.transmat_[np.ix_(order, order)]
    path = np.repeat(matrix[None], len(logpdf), axis=0)
    states = forward_filter(model.startprob_[order], path, logpdf)
    return _steps(states, path, len(upto) - len(past))


def _ahead(fit, past, upto):
    parameters, n_new = fit.parameters, len(upto) - len(past)
    states = few_state.forward(upto, parameters, n_fitted=len(past))
    return _steps(states, np.repeat(parameters.transmat[-1:], n_new, axis=0), n_new)


def _steps(states, path, n_new):
    return Steps(states.log_predictive[-n_new:], states.filtered[-n_new:], path[-n_new:])


def walk_forward(
    returns: np.ndarray,
    first: int,
    last: int,
    fitters: Mapping[str, Fitter],
    *,
    refit_every: int,
    n_states: int = 3,
    n_jobs: int = 2,
) -> dict[str, Steps]:
    """Steps of every estimator over sessions first .. last - 1; each refit knows only its past."""
    origins = range(first, last, refit_every)
    one = partial(_refit, returns, fitters=fitters, n_states=n_states)
    parts = Parallel(n_jobs=n_jobs)(
        delayed(one)(origin, min(origin + refit_every, last)) for origin in origins
    )
    return {name: _joined([part[name] for part in parts]) for name in fitters}


def _joined(parts):
    return Steps(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _refit(returns, origin, until, *, fitters, n_states):
    past, upto = returns[:origin], returns[:until]
    static_fit = few_state_fit.fit_static(past, n_states=n_states)
    return {name: fit(past, static_fit, upto) for name, fit in fitters.items()}


def mix(walks: Mapping[str, Steps]) -> Steps:
    """Online mixture of several estimators: densities, beliefs and matrices by its weights."""
    log_score = np.column_stack([steps.log_predictive for steps in walks.values()])
    weights = online_weights(log_score)
    known = [steps.filtered for steps in walks.values()]
    matrices = [steps.transmat for steps in walks.values()]
    return Steps(
        mixed_log_score(weights, log_score),
        np.einsum("tm,mtk->tk", weights[1:], known),
        np.einsum("tm,mtij->tij", weights[:-1], matrices),
    )
