"""Where files that can be fetched or computed again are kept on this computer."""

import os
import tempfile
from pathlib import Path

import platformdirs


def cache_dir() -> Path:
    """Folder of files that may be deleted at any time: BELIEF_CACHE_DIR, else the user's cache.

    The folder is not created here.
    """
    chosen = os.environ.get("BELIEF_CACHE_DIR")
    if chosen:
        return Path(os.path.expanduser(chosen))  # unlike Path's own, it never raises
    return platformdirs.user_cache_path("belief", appauthor=False)


def write_whole(path: Path, content: bytes) -> None:
    """Write the whole file or nothing: a killed process leaves no half of one in its place.

    Args:
        path: where; its folder is created.
        content: what.

    Raises:
        OSError: the file cannot be written; what was there before is still there.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.replace(temporary, path)
    except OSError:
        Path(temporary).unlink(missing_ok=True)
        raise


def store_location() -> str:
    """Where the store is: BELIEF_STORE, a path or the URL of a database, else the user's data."""
    chosen = os.environ.get("BELIEF_STORE")
    return chosen or str(platformdirs.user_data_path("belief", appauthor=False) / "belief.db")
