"""Time `belief now` as a person waits for it: without a cached fit, and with one.

Kernels are compiled before the clock starts. Prints median seconds of several processes, also as
multiples of what importing numpy and pandas takes.

    python benchmarks/now_speed.py [--rounds N]
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BELIEF = Path(sys.executable).with_name("belief")


def seconds(command, cache):
    """Wall-clock seconds of one process with its own cache folder."""
    begun = time.perf_counter()
    environment = os.environ | {"BELIEF_CACHE_DIR": str(cache)}
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begun


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    imports = [sys.executable, "-c", "import numpy, pandas"]
    taken = {"import numpy, pandas": [], "without a cached fit": [], "with one": []}
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder)
        seconds([BELIEF, "now"], cache)
        for _ in range(rounds):
            taken["import numpy, pandas"].append(seconds(imports, cache))
            shutil.rmtree(cache / "fits")
            taken["without a cached fit"].append(seconds([BELIEF, "now"], cache))
            taken["with one"].append(seconds([BELIEF, "now"], cache))
    medians = {name: statistics.median(values) for name, values in taken.items()}
    for name, value in medians.items():
        print(f"{name:>22} {value:6.2f} s  {value / medians['import numpy, pandas']:5.1f} x")


if __name__ == "__main__":
    main()
