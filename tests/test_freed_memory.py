import subprocess
import sys

import pytest

FAULTS = """
import resource
import numpy as np
from belief.freed_memory import keep_freed_memory
if {kept}:
    keep_freed_memory()
def work():
    for _ in range(50):
        arrays = [np.ones(250_000) for _ in range(16)]
        del arrays
work()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
work()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(kept):
    run = subprocess.run(
        [sys.executable, "-c", FAULTS.format(kept=kept)], capture_output=True, text=True, check=True
    )
    return int(run.stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only glibc is asked")
def test_freed_arrays_are_used_again_without_the_system():
    assert page_faults(True) < 0.05 * page_faults(False)
