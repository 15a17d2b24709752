import numpy as np
import pytest

from belief.mixture import (
    DISCOUNT,
    FLOOR,
    mixed_log_score,
    next_total,
    online_weights,
    weights_of,
)


@pytest.fixture(scope="module")
def scores():
    return np.random.default_rng(0).normal(2.0, 0.7, (40, 3))


def by_the_formula(scores, t, *, discount, floor):
    n_models = scores.shape[1]
    total = [sum(discount ** (t - 1 - s) * scores[s, m] for s in range(t)) for m in range(n_models)]
    share = np.exp(np.array(total) - max(total))
    return floor / n_models + (1.0 - floor) * share / share.sum()


@pytest.mark.parametrize(("discount", "floor"), [(DISCOUNT, FLOOR), (0.9, 0.0), (1.0, 0.2)])
def test_weights_follow_the_formula_of_the_module(scores, discount, floor):
    weights = online_weights(scores, discount=discount, floor=floor)
    assert weights.shape == (41, 3)
    for t in range(41):
        np.testing.assert_allclose(
            weights[t], by_the_formula(scores, t, discount=discount, floor=floor), rtol=1e-10
        )


def test_weights_rest_on_scores_before_their_session_only(scores):
    changed = scores.copy()
    changed[20:] = np.random.default_rng(1).normal(size=(20, 3))
    found, plain = online_weights(changed), online_weights(scores)
    assert found[:21].tobytes() == plain[:21].tobytes()
    assert np.abs(found[21] - plain[21]).max() > 1e-3


def test_totals_taken_one_session_at_a_time_give_the_same_weights(scores):
    expected, total = online_weights(scores), np.zeros(3)
    for t, row in enumerate(scores):
        np.testing.assert_allclose(weights_of(total), expected[t], rtol=1e-12)
        total = next_total(total, row)
        assert total.max() == 0.0
    np.testing.assert_allclose(weights_of(total), expected[-1], rtol=1e-12)


def test_a_constant_added_to_all_scores_of_a_session_changes_no_weight(scores):
    shifted = scores + np.random.default_rng(2).normal(0.0, 5.0, (40, 1))
    np.testing.assert_allclose(online_weights(shifted), online_weights(scores), rtol=1e-9)


def test_weights_add_up_to_1_and_none_is_below_the_floor():
    total = np.array([[0.0, -1e6, -3.0], [0.0, 0.0, 0.0], [-7.0, -7.5, 1e4]])
    weights = weights_of(total)
    assert weights.shape == (3, 3)
    np.testing.assert_allclose(weights.sum(axis=-1), 1.0, rtol=1e-12)
    assert (weights >= FLOOR / 3).all()
    assert weights[0, 1] == pytest.approx(FLOOR / 3, rel=1e-12)
    np.testing.assert_allclose(weights[1], 1.0 / 3.0, rtol=1e-12)
    np.testing.assert_allclose(weights_of(total[0]), weights[0], rtol=1e-15)


def test_a_model_that_called_what_happened_impossible_comes_back():
    total = next_total(np.zeros(2), np.array([-np.inf, 1.0]))
    assert np.isfinite(total).all()
    assert weights_of(total)[0] == pytest.approx(FLOOR / 2, rel=1e-12)
    for _ in range(10_000):
        total = next_total(total, np.array([0.5, 0.0]))
    assert weights_of(total)[0] > 0.9


def test_a_mixture_with_all_weight_on_one_model_scores_like_it(scores):
    weights = np.tile([0.0, 1.0, 0.0], (41, 1))
    np.testing.assert_allclose(mixed_log_score(weights, scores), scores[:, 1], rtol=1e-12)
    even = mixed_log_score(np.full((41, 3), 1.0 / 3.0), scores)
    np.testing.assert_allclose(even, np.log(np.exp(scores).mean(axis=1)), rtol=1e-12)


@pytest.mark.parametrize("discount", [0.0, -0.1, 1.001, np.nan])
def test_a_discount_out_of_range_is_named(scores, discount):
    with pytest.raises(ValueError, match=f"discount is {discount}"):
        online_weights(scores, discount=discount)


@pytest.mark.parametrize("floor", [-0.01, 1.01, np.nan])
def test_a_floor_out_of_range_is_named(scores, floor):
    with pytest.raises(ValueError, match=f"floor is {floor}"):
        online_weights(scores, floor=floor)


def test_a_score_that_is_no_number_is_named(scores):
    damaged = scores.copy()
    damaged[7, 2] = np.nan
    with pytest.raises(ValueError, match="log_score of model 2 at session 7 is not a number"):
        online_weights(damaged)
