"""What can go wrong, in one tree; the command line turns each into one line and its exit code.

BeliefError                     1  anything below
├── UsageError                  2  a value that was passed in is not valid
├── PricesError                 4  prices are missing, unreadable or damaged
│   ├── UnknownSymbol           4  no source has prices of this symbol
│   └── SourceUnavailable       4  a source of prices cannot be reached, or makes no sense
├── FitError                    1  a model cannot be fitted to these prices
│   └── NotPublished            1  no model that is published serves, and none may be fitted
├── StoreError                  1  the database fails, is damaged, or is of a later version
├── RefitRunning                9  another process is refitting the symbol
├── StalePrices                 3  live prices are too old to answer from
├── ImpossibleObservation       1  no reachable state can emit an observation
└── LanguageModelError          5  the language model cannot be reached or makes no sense
"""


class BeliefError(Exception):
    """Base of every error a user can cause; its text is one line that names the value.

    Attributes:
        exit_code: with which the command line ends.

    Example:
        >>> from belief import load_prices
        >>> try:
        ...     load_prices("NVDA").until("31 March")
        ... except BeliefError as error:
        ...     print(error)
        '31 March' is not a day; write it as YYYY-MM-DD, e.g. 2024-03-28
    """

    exit_code = 1


class UsageError(BeliefError):
    """A value that was passed in is not valid; the text names it and what would be."""

    exit_code = 2


class PricesError(BeliefError):
    """Prices are missing, unreadable or damaged."""

    exit_code = 4


class UnknownSymbol(PricesError):
    """No source has prices of this symbol."""


class SourceUnavailable(PricesError):
    """A source of prices cannot be reached, or makes no sense."""


class FitError(BeliefError):
    """A model cannot be fitted to these prices."""


class NotPublished(FitError):
    """No model that is published serves, and none may be fitted."""


class ImpossibleObservation(BeliefError):
    """No reachable state can emit an observation, or a value is not a number."""


class LanguageModelError(BeliefError):
    """The language model cannot be reached, refuses the key, or makes no sense."""

    exit_code = 5


class StoreError(BeliefError):
    """The database fails, is full, is damaged, or is of a later version."""


class RefitRunning(BeliefError):
    """Another process is refitting the symbol."""

    exit_code = 9


class StalePrices(BeliefError):
    """Live prices are too old to answer from."""

    exit_code = 3
