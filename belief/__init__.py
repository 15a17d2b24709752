"""The belief-state estimator that a language model consults before it says a price.

prices -> observations -> fitted model -> belief -> forecast: the modules tell it in that order.
"""
