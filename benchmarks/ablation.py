"""What each part of the volatility grid is worth: it with one part taken out or set otherwise.

Walks forward on NVDA with `belief backtest`'s own evaluator and prints, for each variant, the mean
log score and CRPS against the full model's (`grid_static`), with HAC t-values. Settings were
chosen with --before, on 2003 to 2012; 2013 to 2025-02-14 is only reported.

    python benchmarks/ablation.py --before [VARIANT ...]     about 10 minutes on two cores
    python benchmarks/ablation.py [VARIANT ...]
"""

import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from unittest import mock

import numpy as np
from joblib import Parallel, delayed

from belief import backtest, grid_belief, models, volatility_grid, volatility_grid_fit
from belief.drift import Drift
from belief.scores import hac_lag, mean_difference
from belief.sources import load_prices

HORIZONS = (1, 21)
REFIT_EVERY = 63
BASE = "grid_static"  # one memory: what the parts are worth does not take four
PERIODS = {
    "before": ("2003-01-02", "2012-12-31", "2012-12-31"),
    "after": ("2013-01-02", "2025-02-13", "2025-02-14"),
}


def looking_at(change: Callable) -> tuple[SimpleNamespace, SimpleNamespace]:
    """The model as it fits and reads observations that were changed first."""
    return (
        SimpleNamespace(fit=lambda model, seen, start: real_fit(change(seen), start)),
        SimpleNamespace(
            carry=lambda fitted, seen: grid_belief.carry(fitted, change(seen)),
            forecast_quantiles=grid_belief.forecast_quantiles,
        ),
    )


def told(change: Callable) -> tuple[SimpleNamespace, SimpleNamespace]:
    """The model as it forecasts from a fit and an outlook that were changed first."""

    def forecast_quantiles(fitted, horizons, outlook, rng):
        return grid_belief.forecast_quantiles(*change(fitted, horizons, outlook), rng)

    return (
        SimpleNamespace(fit=lambda model, seen, start: real_fit(seen, start)),
        SimpleNamespace(carry=grid_belief.carry, forecast_quantiles=forecast_quantiles),
    )


real_generator = models._generator


def as_the_full_model(fitted):
    return real_generator(replace(fitted, model=BASE))


def real_fit(observations, start, model=BASE):
    return volatility_grid_fit.fit(model, observations, start)


def mixed_fit(model, observations, start):
    return real_fit(without_events(observations), start, "belief")


def without_events(observations):
    return replace(observations, event=np.zeros(len(observations), dtype=bool))


def without_range(observations):
    return replace(observations, log_range=np.zeros(len(observations)))


def no_drift(fitted, horizons, outlook):
    return fitted, horizons, outlook._replace(drift=Drift(0.0, 0.0))


def no_events_ahead(fitted, horizons, outlook):
    return fitted, horizons, outlook._replace(event_chance=outlook.event_chance[:0])


def no_doubt(fitted, horizons, outlook):
    still = {**fitted.parameters, "covariance": 0.0 * fitted.parameters["covariance"]}
    return replace(fitted, parameters=still), horizons, outlook


PLAIN = looking_at(lambda observations: observations)
LEVERAGE_HELD = {"held": {"lam": 0.0, "lam2": 0.0}}
# name -> (fit module, meaning module), and what is patched while it runs
VARIANTS = {
    "full": (PLAIN, ()),
    "no_events": (
        (
            looking_at(without_events)[0],
            SimpleNamespace(
                carry=looking_at(without_events)[1].carry,
                forecast_quantiles=told(no_events_ahead)[1].forecast_quantiles,
            ),
        ),
        (),
    ),
    "belief_no_events": (
        (
            SimpleNamespace(fit=mixed_fit),
            SimpleNamespace(
                carry=looking_at(without_events)[1].carry,
                forecast_quantiles=told(no_events_ahead)[1].forecast_quantiles,
            ),
        ),
        (),
    ),
    "no_range": (looking_at(without_range), ()),
    "no_leverage": (PLAIN, (("estimate", LEVERAGE_HELD),)),
    "no_drift": (told(no_drift), ()),
    "no_doubt": (told(no_doubt), ()),
    "narrow_prior": (PLAIN, (("prior", 0.5),)),
    "wide_prior": (PLAIN, (("prior", 2.0),)),
    "fine_grid": (PLAIN, (("grid", 0.06),)),
}

# What the results page shows; the others are settings that were tried before 2013.
AFTER = ("no_events", "no_range", "no_leverage", "no_drift", "no_doubt")


def patched(changes):
    """Context managers that put the changes of a variant into force."""
    for what, value in changes:
        if what == "estimate":
            real = volatility_grid_fit.estimate
            yield mock.patch.object(
                volatility_grid_fit,
                "estimate",
                lambda *a, real=real, v=value, **k: real(*a, **k, **v),
            )
        elif what == "prior":
            real = volatility_grid_fit.prior_of
            yield mock.patch.object(
                volatility_grid_fit,
                "prior_of",
                lambda *seen, real=real, v=value: (p := real(*seen))._replace(sd=v * p.sd),
            )
        else:
            yield mock.patch.object(volatility_grid, "SPACING", value)
            yield mock.patch.object(volatility_grid, "MOST_STATES", 128)


def walk(variant, first, last, through, *, horizons=HORIZONS, refit_every=REFIT_EVERY):
    """One-row-per-origin columns of a variant, by horizon: origin, log_score and crps."""
    kind, changes = VARIANTS[variant]
    name = f"ablation_{variant}"
    prices = load_prices("NVDA").until(np.datetime64(through))
    plan_of = dict(
        first=np.datetime64(first),
        last=np.datetime64(last),
        horizons=horizons,
        models=(name,),
        refit_every=refit_every,
    )
    with (
        tempfile.TemporaryDirectory() as kept,
        mock.patch.dict(os.environ, {"BELIEF_CACHE_DIR": kept}),
        mock.patch.dict(models.KINDS, {name: kind}),
        mock.patch.object(models, "MODELS", (*models.MODELS, name)),
        # the same random numbers for all variants, or their noise would hide small differences
        mock.patch.object(models, "_generator", as_the_full_model),
    ):
        patches = list(patched(changes))
        for patch in patches:
            patch.start()
        try:
            table = backtest.walk_forward(prices, backtest.Plan(**plan_of))
        finally:
            for patch in patches:
                patch.stop()
    return {
        h: {
            column: table.filter(np.asarray(table["horizon"]) == h)[column].to_numpy()
            for column in ("origin", "log_score", "crps")
        }
        for h in horizons
    }


def compare(walks, base="full"):
    """Rows (variant, horizon, log score, gain, t, CRPS ratio, t) against the full model."""
    for variant, scored in walks.items():
        for horizon, own in scored.items():
            full = walks[base][horizon]
            lag = hac_lag(len(own["crps"]), horizon=horizon)
            gain = mean_difference(own["log_score"] - full["log_score"], lag)
            better = mean_difference(full["crps"] - own["crps"], lag)
            ratio = own["crps"].mean() / full["crps"].mean()
            yield (
                variant,
                horizon,
                own["log_score"].mean(),
                gain.mean,
                gain.t_value,
                ratio,
                better.t_value,
            )


def rows(period, variants=AFTER):
    """Rows of `compare` for a period, as plain numbers."""
    names = ["full", *(name for name in variants if name != "full")]
    walks = Parallel(n_jobs=2)(delayed(walk)(name, *PERIODS[period]) for name in names)
    found = compare(dict(zip(names, walks, strict=True)))
    return [tuple(x.item() if isinstance(x, np.generic) else x for x in row) for row in found]


def main():
    named = [word for word in sys.argv[1:] if not word.startswith("--")]
    period = "before" if "--before" in sys.argv else "after"
    print(f"NVDA, {PERIODS[period][:2]}, refit every {REFIT_EVERY}; against the full model")
    print("variant           sessions  log score     gain      t   CRPS ratio      t")
    for variant, horizon, score, gain, t, ratio, crps_t in rows(period, named or AFTER):
        print(
            f"{variant:<17}{horizon:>9}{score:>11.4f}{gain:>+9.4f}{t:>7.2f}{ratio:>13.4f}"
            f"{crps_t:>7.2f}"
        )


if __name__ == "__main__":
    main()
