"""Fits kept on disk under their fingerprint, so that the same question is not fitted twice.

A fit is a pure function of prices, model and code, and the fingerprint names all three: a cached
fit can be missing or damaged, but never stale and never from another day.
"""

import contextlib
import hashlib
import threading
from pathlib import Path
from typing import Final

from belief.fitted_model import FittedModel
from belief.models import fit, fit_fingerprint
from belief.paths import cache_dir, write_whole
from belief.prices import Prices

ONE_AT_A_TIME: Final = threading.Lock()  # two fits at once would each take twice as long


def cached_fit(model: str, prices: Prices) -> FittedModel:
    """Fit a model, or read the fit made before from the same prices by the same code.

    A cache that cannot be read or written costs time, never an answer. Threads take turns at
    fitting, and what one of them has fitted the next one reads.

    Args:
        model: one of `belief.models.MODELS`.
        prices: cut at the as-of session.

    Returns:
        What `belief.models.fit` returns.

    Raises:
        UsageError: there is no such model.
        FitError: the prices are too few or do not vary.
    """
    name = fit_fingerprint(model, prices)
    path = cache_dir() / "fits" / f"{name}.json"
    found = _read(path, name)
    if found is not None:
        return found
    with ONE_AT_A_TIME:
        found = _read(path, name)
        if found is not None:
            return found
        fitted = fit(model, prices)
        with contextlib.suppress(OSError):
            write_whole(path, _sealed(fitted))
    return fitted


def _read(path: Path, fingerprint: str) -> FittedModel | None:
    """A damaged file, or one of another fit, is no file."""
    try:
        digest, _, body = path.read_bytes().partition(b"\n")
    except OSError:
        return None
    whole = hashlib.sha256(body).hexdigest().encode() == digest
    found = FittedModel.from_json(body.decode()) if whole else None
    return None if found is None or found.fingerprint != fingerprint else found


def _sealed(fitted: FittedModel) -> bytes:
    """The model behind a digest of its own, so that damage shows."""
    body = fitted.to_json().encode()
    return hashlib.sha256(body).hexdigest().encode() + b"\n" + body
