"""Where files that can be fetched or computed again are kept on this computer."""

import os
from pathlib import Path

import platformdirs


def cache_dir() -> Path:
    """Folder of files that may be deleted at any time: BELIEF_CACHE_DIR, else the user's cache.

    The folder is not created here.
    """
    chosen = os.environ.get("BELIEF_CACHE_DIR")
    if chosen:
        return Path(chosen).expanduser()
    return platformdirs.user_cache_path("belief", appauthor=False)
