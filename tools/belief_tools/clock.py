"""The clock: read here and nowhere else, by the edges alone."""

import datetime


def now() -> datetime.datetime:
    """The moment, in UTC."""
    return datetime.datetime.now(datetime.UTC)
