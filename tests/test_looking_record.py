"""What the page says of the track record beyond what the tool says."""

import re

import numpy as np

from belief.track_record import bundled_scores
from belief_tools import looking


def test_the_record_says_how_often_the_close_came_above_the_median(tool):
    told = looking.record_section(tool).words[1]
    known = bundled_scores("NVDA").until(tool.prices.as_of)
    found = re.findall(r"([\d.]+) % of the closes (\d+) session", told)
    assert len(found) >= 4
    for share, horizon in found:
        own = (known.model == "belief") & (known.horizon == int(horizon))
        assert float(share) == np.round(100.0 * np.mean(known.pit[own] > 0.5), 1)
