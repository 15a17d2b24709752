"""Bundled prices and events with their provenance, and the scripts that imported them."""
