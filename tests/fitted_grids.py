"""Grids fitted to Nvidia as of the end of June 2004."""

import functools

import numpy as np

from belief import models
from belief.sources import load_prices

AS_OF = np.datetime64("2004-06-30")


def known_prices():
    return load_prices("NVDA").until(AS_OF)


@functools.cache
def fitted_grid(model):
    return models.fit(model, known_prices())


def weights_by_hand(total_score):
    likely = np.exp(np.array(total_score) - np.max(total_score))
    return 0.02 / len(likely) + 0.98 * likely / likely.sum()
