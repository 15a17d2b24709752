"""Keep the memory of freed arrays in the process, for the next arrays of the same size.

A fit makes and frees arrays of some megabytes thousands of times. By default the allocator of
glibc gives each back to the system, which has to clear every page again: a third of a fit's time.
"""

import ctypes
import sys

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # of mallopt, malloc.h
LARGEST = 1 << 30  # bytes


def keep_freed_memory() -> None:
    """Ask the allocator to keep what is freed; called where a process begins.

    Other allocators than that of glibc are left as they are.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(MMAP_THRESHOLD, LARGEST)
        mallopt(TRIM_THRESHOLD, LARGEST)
