"""FittedModel: the numbers a fit leaves behind, and where they came from. A plain value."""

import hashlib
import importlib.metadata
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

COMPUTES_WITH = ("numpy", "scipy", "numba", "hmmlearn", "arch")


class Reached(NamedTuple):
    """Where a fit ended: the fields of `FittedModel` that the models themselves know."""

    parameters: dict[str, Array]
    log_likelihood: float
    n_iter: int
    converged: bool


@dataclass(frozen=True, eq=False)
class FittedModel:
    """One fit of one model to the observations of one symbol.

    Attributes:
        model: name of the model, one of `belief.models.MODELS`.
        symbol: whose prices it was fitted to.
        parameters: name -> array; what the names mean is said by the module that fitted them.
        log_likelihood: of the observations under the fit, nats.
        n_iter: iterations the fit took.
        converged: whether it stopped because nothing moved any more.
        trained_from, trained_through: first and last session of the observations.
        known_through: last session its state has seen; later than `trained_through` in a fit that
            was carried on.
        n_sessions: how many observations it was fitted to.
        fingerprint: SHA-256 of model, symbol, prices and the code that fitted them.

    Example:
        >>> from belief import fit, load_prices
        >>> fitted = fit(load_prices("NVDA").until("2000-03-31"))
        >>> fitted.converged, str(fitted.trained_from), str(fitted.known_through)
        (True, '1999-01-25', '2000-03-31')
        >>> FittedModel.from_json(fitted.to_json()).digest() == fitted.digest()
        True
    """

    model: str
    symbol: str
    parameters: Mapping[str, Array]
    log_likelihood: float
    n_iter: int
    converged: bool
    trained_from: np.datetime64
    trained_through: np.datetime64
    known_through: np.datetime64
    n_sessions: int
    fingerprint: str

    def __post_init__(self) -> None:
        for values in self.parameters.values():
            values.setflags(write=False)

    def to_json(self) -> str:
        """Write the model as JSON; `from_json` gives back the same bits."""
        record = {
            **self.__dict__,
            "parameters": {name: values.tolist() for name, values in self.parameters.items()},
            "trained_from": str(self.trained_from),
            "trained_through": str(self.trained_through),
            "known_through": str(self.known_through),
        }
        return json.dumps(record)

    def digest(self) -> str:
        """SHA-256 over all it holds: its fit, and what its state and weights have seen since."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    @classmethod
    def from_json(cls, text: str) -> "FittedModel":
        """Read what `to_json` wrote.

        Raises:
            ValueError, KeyError or TypeError: the text is not such a record.
        """
        record: dict[str, Any] = json.loads(text)
        record["parameters"] = {
            name: np.array(values, dtype=np.float64)
            for name, values in record["parameters"].items()
        }
        for field in ("trained_from", "trained_through", "known_through"):
            record[field] = np.datetime64(record[field], "D")
        return cls(**record)


def fingerprint(model: str, symbol: str, prices_fingerprint: str) -> str:
    """Name a fit by everything it says or depends on: model, symbol, prices and code.

    Args:
        model: name of the model.
        symbol: whose prices; their own fingerprint leaves it out.
        prices_fingerprint: `Prices.fingerprint()` of the prices cut at the as-of session.

    Returns:
        SHA-256 in hexadecimal.
    """
    text = "\n".join((model, symbol, prices_fingerprint, code_fingerprint()))
    return hashlib.sha256(text.encode()).hexdigest()


@cache
def code_fingerprint() -> str:
    """SHA-256 over this package and what it computes with: new code never meets an old fit."""
    versions = [importlib.metadata.version(name) for name in COMPUTES_WITH]
    digest = hashlib.sha256("\n".join(versions).encode())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()
