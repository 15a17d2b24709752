"""The belief as a language model's tool: consulted before a price is said.

`forecast_price` is the tool as a plain function, for any agent framework.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from belief_tools.plain_function import forecast_price

__all__ = ["forecast_price"]

if not TYPE_CHECKING:  # loads what it needs when it is first used: the command line starts here

    def __getattr__(name: str) -> object:
        if name != "forecast_price":
            raise AttributeError(f"module 'belief_tools' has no attribute {name!r}")
        from belief_tools.plain_function import forecast_price

        globals()[name] = forecast_price
        return forecast_price
