"""Why an exchange with a language model failed, and how that is said: in one line, without keys."""

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from openai import APIStatusError

_LONGEST_DETAIL = 240


class Failure(Exception):
    """Why an exchange failed.

    Attributes:
        kind: "status", "late", "unreachable", "broken" or "unusable".
        status: of HTTP, for kind "status".
        param: the parameter that the server names.
        detail: what the server or the library says.
        retry_after: seconds that the server asks to wait, or None.
    """

    def __init__(
        self,
        kind: str,
        *,
        status: int = 0,
        param: str = "",
        detail: str = "",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(kind)
        self.kind = kind
        self.status = status
        self.param = param
        self.detail = detail
        self.retry_after = retry_after

    @property
    def passing(self) -> bool:
        """Whether the same request may succeed a moment later."""
        if self.kind == "status":
            return self.status in (408, 409, 429) or self.status >= 500
        return self.kind in ("unreachable", "broken")


def failed_status(error: "APIStatusError") -> Failure:
    """The failure of a server that answers with an error.

    Args:
        error: as the client library raises it.
    """
    return Failure(
        "status",
        status=error.status_code,
        param=error.param if isinstance(error.param, str) else "",
        detail=told(error.body),
        retry_after=_seconds(error.response.headers.get("retry-after")),
    )


def told(body: object) -> str:
    """The sentence in the body of an error, wherever this server puts it.

    Args:
        body: as parsed from JSON.
    """
    if not isinstance(body, Mapping):
        return "" if body is None else str(body)
    for key in ("message", "detail", "error"):
        if body.get(key):
            return told(body[key])
    return ""


def explain(failure: Failure, asked: str, key: str | None, timeout: float) -> str:
    """Say in one line where, which model, what happened and what to do.

    Args:
        failure: what happened.
        asked: server and model.
        key: never repeated; None where there is no secret.
        timeout: seconds that were waited for.
    """
    hidden = failure.detail if key is None else failure.detail.replace(key, "***")
    detail = f": {one_line(hidden)}" if hidden else ""
    if failure.kind == "status":
        return _explain_status(asked, failure.status, detail)
    if failure.kind == "late":
        return f"{asked} did not answer within {timeout:g} s; try again, or another model"
    if failure.kind == "unreachable":
        return (
            f"cannot reach {asked}{detail}; start that server, correct OPENAI_BASE_URL, "
            f"or check the connection"
        )
    if failure.kind == "broken":
        return f"{asked} broke off its answer{detail}; try again"
    return f"{asked} answered without a usable reply{detail}"


def one_line(text: str) -> str:
    """`text` without line breaks or control characters, and not endless."""
    printable = "".join(char if char.isprintable() else " " for char in text)
    line = " ".join(printable.split())
    return line if len(line) <= _LONGEST_DETAIL else line[: _LONGEST_DETAIL - 3] + "..."


def _seconds(header: str | None) -> float | None:
    """A Retry-After in seconds; the form with a date is rare and counts as not given."""
    return float(header) if header and re.fullmatch(r"\d{1,9}(\.\d{1,9})?", header) else None


def _explain_status(asked: str, status: int, detail: str) -> str:
    # What a server says about a key may hold the key, in whole or in part: it is not repeated.
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return f"{asked} refuses the key (HTTP {status}); set OPENAI_API_KEY to one it accepts"
    if status == HTTPStatus.NOT_FOUND:
        return (
            f"{asked} knows no such model or address (HTTP 404){detail}; check OPENAI_MODEL, and "
            f"OPENAI_BASE_URL, which often ends in /v1"
        )
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return f"{asked} is over its rate limit or quota (HTTP 429){detail}; try again later"
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return f"{asked} failed (HTTP {status}){detail}; try again later"
    return f"{asked} refused the request (HTTP {status}){detail}"
