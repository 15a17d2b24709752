import dataclasses
import math

import numpy as np
import pytest
from daily import short_history
from scipy.stats import binom

from belief import refit_gate
from belief.grid_belief import grid_in, one_session_pit, with_weights_of
from belief.grid_forecast import memory_weights
from belief.models import belief, carry, fit
from belief.observations import observe
from belief.refit_gate import LARGEST_JUMP, LIKELIHOOD_SLACK, check_model
from belief.volatility_grid import NAMES, even_start, run_filter, sessions_of


@pytest.fixture(scope="module")
def prices():
    return short_history("2024-06-05")


@pytest.fixture(scope="module")
def serving(prices):
    """The model of the session before, carried on."""
    return carry(fit("belief", prices.until(np.datetime64("2024-06-04"))), prices)


@pytest.fixture(scope="module")
def candidate(prices, serving):
    return with_weights_of(fit("belief", prices), serving)


@pytest.fixture(scope="module")
def observations(prices):
    return observe(prices)


def with_parameters(fitted, **changes):
    return dataclasses.replace(fitted, parameters={**fitted.parameters, **changes})


def checks(candidate, serving, observations, reason=None):
    found = check_model(candidate, serving, observations, data_reason=reason)
    return {check.name: check for check in found}


def failed(found):
    return {name for name, check in found.items() if not check.passed}


def test_a_healthy_refit_passes_every_check(candidate, serving, observations):
    found = checks(candidate, serving, observations)
    assert list(found) == ["convergence", "likelihood", "jump", "coverage"]
    assert not failed(found)
    assert all(check.reason and "\n" not in check.reason for check in found.values())


def test_without_a_model_in_service_there_is_nothing_to_compare_with(candidate, observations):
    found = checks(candidate, None, observations)
    assert list(found) == ["convergence", "coverage"]
    assert not failed(found)


def test_a_search_that_did_not_settle_is_refused(candidate, serving, observations):
    wandering = dataclasses.replace(candidate, converged=False)
    found = checks(wandering, serving, observations)
    assert failed(found) == {"convergence"}
    assert "did not settle" in found["convergence"].reason


# Likelihood


def test_estimates_worse_than_those_in_service_are_refused(candidate, serving, observations):
    theta = candidate.parameters["theta"].copy()
    theta[:, 0] += 0.5
    found = checks(with_parameters(candidate, theta=theta), serving, observations)
    assert "likelihood" in failed(found)
    assert "nats" in found["likelihood"].reason


@pytest.mark.parametrize("memory", range(4))
def test_every_memory_is_compared(candidate, serving, observations, memory):
    theta = candidate.parameters["theta"].copy()
    theta[memory, 0] += 0.5
    found = checks(with_parameters(candidate, theta=theta), serving, observations)
    assert "likelihood" in failed(found)


def test_a_loss_within_the_slack_passes(candidate, serving, observations):
    """A memory at its optimum in service, moved off by a known loss in the fresh fit."""
    best, lost = with_parameters(serving, theta=candidate.parameters["theta"]), []
    for step in (0.0, 0.5, 2.0):
        theta = candidate.parameters["theta"].copy()
        theta[1, NAMES.index("logit_phi")] += step
        check = checks(with_parameters(candidate, theta=theta), best, observations)["likelihood"]
        loss = float(check.reason.partition(" is ")[2].partition(" nats")[0])
        assert check.passed == (loss >= -LIKELIHOOD_SLACK)
        lost.append(loss)
    assert lost[0] == 0.0 > lost[1] > -LIKELIHOOD_SLACK > lost[2]


def test_a_model_that_is_better_than_the_one_in_service_passes(candidate, serving, observations):
    theta = serving.parameters["theta"].copy()
    theta[:, 0] += 0.5
    found = checks(candidate, with_parameters(serving, theta=theta), observations)
    assert found["likelihood"].passed


# The jump of a belief


def believing(fitted, factor):
    """The same model with every state moved, so that its volatility is `factor` times as large."""
    return with_parameters(fitted, point=fitted.parameters["point"] + math.log(factor))


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_a_jump_without_a_reason_is_refused(candidate, serving, observations, factor):
    before = believing(serving, factor)
    assert belief(before).volatility == pytest.approx(factor * belief(serving).volatility, rel=1e-9)
    found = checks(candidate, before, observations)
    assert not found["jump"].passed
    assert f"{belief(before).volatility:.1%}" in found["jump"].reason


def test_a_jump_that_the_data_explain_passes_and_says_why(candidate, serving, observations):
    before = believing(serving, 2.0)
    found = checks(candidate, before, observations, "revised at 2024-06-04")
    assert found["jump"].passed
    assert found["jump"].reason.endswith("the data give a reason: revised at 2024-06-04")


def test_a_reason_that_was_not_needed_is_not_given(candidate, serving, observations):
    found = checks(candidate, serving, observations, "revised at 2024-06-04")
    assert found["jump"].passed
    assert "reason" not in found["jump"].reason


@pytest.mark.parametrize("share, near", [(0.98, True), (1.02, False), (-0.98, True)])
def test_a_jump_is_measured_as_a_log_ratio(candidate, serving, observations, share, near):
    ratio = belief(candidate).volatility / belief(serving).volatility
    before = believing(serving, ratio * math.exp(share * LARGEST_JUMP))
    assert checks(candidate, before, observations)["jump"].passed == near


# Coverage


def held(monkeypatch, inside, outside=0.99):
    """Make the forecasts of the last 250 sessions hold `inside` closes, and none before."""
    pit = np.full(400, 0.0)
    pit[150:] = outside
    pit[150 : 150 + inside] = 0.5
    monkeypatch.setattr(refit_gate, "one_session_pit", lambda *_: pit)


@pytest.mark.parametrize(
    "inside, passes",
    [(0, False), (204, False), (205, True), (225, True), (241, True), (242, False)],
)
def test_coverage_too_far_from_what_the_intervals_say_is_refused(
    candidate, serving, observations, monkeypatch, inside, passes
):
    held(monkeypatch, inside)
    check = checks(candidate, serving, observations)["coverage"]
    assert check.passed == passes
    assert check.reason == f"90% intervals held {inside} of the last 250 closes"


@pytest.mark.parametrize("pit, counts", [(0.049, 0), (0.051, 250), (0.949, 250), (0.951, 0)])
def test_both_ends_of_the_interval_count(candidate, observations, monkeypatch, pit, counts):
    held(monkeypatch, 0, outside=pit)
    reason = checks(candidate, None, observations)["coverage"].reason
    assert f"held {counts} of" in reason


@pytest.mark.parametrize("inside", [0, 1, 200, 225, 249, 250])
def test_the_probability_of_a_count_is_that_of_both_tails(inside):
    law = binom(250, 0.9)
    wanted = min(1.0, 2.0 * min(law.cdf(inside), law.sf(inside - 1)))
    assert refit_gate._tail_probability(inside, 250) == pytest.approx(wanted, rel=1e-9)


# What the forecasts of the past gave to what came


def at_last_return(observations, value):
    returns = observations.log_return.copy()
    returns[-1] = value
    return dataclasses.replace(observations, log_return=returns)


def test_the_slope_of_a_pit_is_the_predictive_density(candidate, observations):
    values, step = candidate.parameters, 1e-5
    for value in (-0.06, 0.0, 0.03):
        low, high = (
            one_session_pit(candidate, at_last_return(observations, value + side))[-1]
            for side in (-step, step)
        )
        sessions = sessions_of(at_last_return(observations, value), grid_in(values))
        density = sum(
            weight
            * math.exp(
                run_filter(
                    theta, grid_in(values), sessions, even_start(grid_in(values))
                ).log_predictive[-1]
            )
            for weight, theta in zip(memory_weights(values), values["theta"], strict=True)
        )
        assert (high - low) / (2.0 * step) == pytest.approx(density, rel=1e-4)


def test_a_pit_knows_nothing_of_its_own_session_but_the_return(candidate, observations):
    usual = one_session_pit(candidate, observations)
    crash = one_session_pit(candidate, at_last_return(observations, -0.5))
    np.testing.assert_array_equal(usual[:-1], crash[:-1])
    assert crash[-1] < 1e-3 < usual[-1]


def test_weights_are_taken_over_and_nothing_else(candidate, serving):
    fresh = with_parameters(
        candidate, total_score=np.zeros(4), total_before=np.zeros(4), n_scored=np.zeros(())
    )
    weighed = with_parameters(
        serving, total_score=np.array([0.0, -1.0, -2.0, -3.0]), n_scored=np.array(7.0)
    )
    taken = with_weights_of(fresh, weighed)
    moved = {
        name
        for name in fresh.parameters
        if not np.array_equal(taken.parameters[name], fresh.parameters[name], equal_nan=True)
    }
    assert moved == {"total_score", "n_scored"}
    np.testing.assert_array_equal(
        memory_weights(taken.parameters), memory_weights(weighed.parameters)
    )
