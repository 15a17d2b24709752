"""What can go wrong, in one tree; the command line turns each into one line and its exit code.

BeliefError                     1  anything below
├── UsageError                  2  a value that was passed in is not valid
├── PricesError                 4  prices are missing, unreadable or damaged
│   └── UnknownSymbol           4  no source has prices of this symbol
├── FitError                    1  a model cannot be fitted to these prices
├── ImpossibleObservation       1  no reachable state can emit an observation
└── LanguageModelError          5  the language model cannot be reached or makes no sense
"""


class BeliefError(Exception):
    """Base of every error a user can cause; its text is one line that names the value."""

    exit_code = 1


class UsageError(BeliefError):
    """A value that was passed in is not valid; the text names it and what would be."""

    exit_code = 2


class PricesError(BeliefError):
    """Prices are missing, unreadable or damaged."""

    exit_code = 4


class UnknownSymbol(PricesError):
    """No source has prices of this symbol."""


class FitError(BeliefError):
    """A model cannot be fitted to these prices."""


class ImpossibleObservation(BeliefError):
    """No reachable state can emit an observation, or a value is not a number."""


class LanguageModelError(BeliefError):
    """The language model cannot be reached, refuses the key, or makes no sense."""

    exit_code = 5
