"""Settings: a flag over the environment over belief.toml over the default.

belief.toml stands in the folder where the command runs, or in the user's configuration folder; it
has a table [belief] with the names of `NAMES`. Secrets come from the environment alone.
"""

import os
import tomllib
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import platformdirs

from belief.errors import UsageError
from belief_tools.terminal import one_line

FILE: Final = "belief.toml"
# What a name in the file stands for in the environment.
NAMES: Final[Mapping[str, str]] = {
    "store": "BELIEF_STORE",
    "cache_dir": "BELIEF_CACHE_DIR",
    "yahoo_url": "BELIEF_YAHOO_URL",
    "base_url": "OPENAI_BASE_URL",
    "model": "OPENAI_MODEL",
}
SECRET: Final = "OPENAI_API_KEY"


class Setting(NamedTuple):
    """A setting in force: its variable, its value (None when not set), and where that is from."""

    variable: str
    value: str | None
    source: str


def apply_file(environ: MutableMapping[str, str]) -> dict[str, Path]:
    """Put what belief.toml sets into the environment, where that has no value of its own.

    Args:
        environ: the environment, which is changed.

    Returns:
        The variables that came from a file, and from which.

    Raises:
        UsageError: the file cannot be read, or sets what is no setting.
    """
    taken: dict[str, Path] = {}
    for path in (Path(FILE), platformdirs.user_config_path("belief", appauthor=False) / FILE):
        for name, value in _read(path).items():
            variable = NAMES[name]
            if not environ.get(variable):
                environ[variable] = value
                taken[variable] = path
    return taken


def _read(path: Path) -> dict[str, str]:
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise UsageError(f"{path} cannot be read: {reason}") from None
    except (ValueError, RecursionError) as error:  # the first is what the library raises, too
        raise UsageError(f"{path} is not TOML: {one_line(str(error), longest=120)}") from None
    return _checked(path, content)


def _checked(path: Path, content: dict[str, Any]) -> dict[str, str]:
    table = content.get("belief", {})
    if set(content) - {"belief"} or not isinstance(table, dict):
        raise UsageError(f"{path} has more than the table [belief]; write settings below it")
    for name, value in table.items():
        if "key" in name.lower() or name.upper() == SECRET:
            raise UsageError(f"{path} sets {name}: secrets come from the environment, {SECRET}")
        if name not in NAMES:
            raise UsageError(
                f"{path} sets {name}, which is no setting; there are {', '.join(NAMES)}"
            )
        if not isinstance(value, str) or not value.isprintable() or not value:
            raise UsageError(f"{path} sets {name} to {value!r}; give a text in quotes")
    return table


def in_force(environ: Mapping[str, str], from_file: Mapping[str, Path]) -> list[Setting]:
    """List the settings with where each comes from; the key only as set or not.

    Args:
        environ: the environment, the file applied.
        from_file: what `apply_file` returned.
    """
    listed = []
    for variable in NAMES.values():
        value = environ.get(variable) or None
        source = "default" if value is None else "environment"
        listed.append(Setting(variable, value, str(from_file.get(variable, source))))
    key = "set" if environ.get(SECRET) else None
    return [*listed, Setting(SECRET, key, "default" if key is None else "environment")]


FROM_FILE: dict[str, Path] = {}


def load() -> None:
    """Apply belief.toml to this process."""
    FROM_FILE.update(apply_file(os.environ))
