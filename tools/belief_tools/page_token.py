"""The token of the page: how a browser shows that it knows it, and what others are asked."""

import hashlib
import hmac
import time
from collections import Counter
from typing import Final

from starlette.requests import HTTPConnection
from starlette.responses import HTMLResponse

TOKEN: Final = "BELIEF_PAGE_TOKEN"
COOKIE: Final = "belief_access"
FIELD: Final = "token"  # in the form, and in an address
WINDOW: Final = 60  # seconds in which wrong tokens are counted
MOST_WRONG: Final = 10  # of one address in a window
MOST_WRONG_OF_ALL: Final = 1000
ASKED: Final = "This page is for those who know its token."
WRONG: Final = "That is not the token of this page."
TOO_MANY: Final = "Too many wrong tokens came; wait a minute, then try again."
FORM: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Belief: token</title>
<style>
:root {{ color-scheme: light dark; font: 1.1rem/1.5 system-ui, sans-serif; }}
main {{ max-width: 24rem; margin: 15vh auto 0; padding: 0 1rem; }}
input, button {{ font: inherit; box-sizing: border-box; width: 100%; padding: .5rem;
  margin: .3rem 0 1rem; }}
</style>
</head>
<body>
<main>
<h1>Belief</h1>
<p id="said"{role}>{said}</p>
<form method="post">
<label for="token">Token</label>
<input id="token" name="{field}" type="password" required autofocus
  autocomplete="current-password" aria-describedby="said"{invalid}>
<button>Open the page</button>
</form>
</main>
</body>
</html>
"""


class PageToken:
    """Tells who knows the token, and bounds how often others may guess it.

    A browser keeps no token but a digest that only the token gives. It holds as long as the token
    does, whether the server starts anew or not.
    """

    def __init__(self, token: str) -> None:
        """Begin with nothing guessed.

        Args:
            token: printable ASCII without spaces.
        """
        self._token = token.encode()
        # slow on purpose: whoever gets hold of a cookie does not have the token by trying words
        digest = hashlib.scrypt(self._token, salt=b"belief page", n=2**14, r=8, p=1, dklen=32)
        self.digest = digest.hex()
        self._wrong: Counter[str] = Counter()
        self._window = 0.0

    def is_shown_by(self, connection: HTTPConnection) -> bool:
        """Whether a cookie shows that the token was known.

        Args:
            connection: a request or a websocket.
        """
        shown = connection.cookies.get(COOKIE, "")
        return hmac.compare_digest(shown.encode(), self.digest.encode())

    def refusal(self, given: bytes, connection: HTTPConnection) -> HTMLResponse | None:
        """What is answered to somebody who gives a token; None where it is the right one.

        Past the bound the right one is refused as well: else whoever guesses would see it.

        Args:
            given: the token.
            connection: with which it came.
        """
        address = "" if connection.client is None else connection.client.host
        if self._is_past_bound(address):
            return asking(TOO_MANY, 429)
        if hmac.compare_digest(given, self._token):
            return None
        self._wrong[address] += 1
        return asking(WRONG)

    def _is_past_bound(self, address: str) -> bool:
        if time.monotonic() - self._window > WINDOW:
            self._window = time.monotonic()
            self._wrong.clear()
        return self._wrong[address] >= MOST_WRONG or self._wrong.total() >= MOST_WRONG_OF_ALL


def asking(said: str = ASKED, status: int = 401) -> HTMLResponse:
    """A page that asks for the token.

    Args:
        said: one sentence.
        status: of the answer.
    """
    failed = said is not ASKED
    page = FORM.format(
        said=said,
        field=FIELD,
        role=' role="alert"' if failed else "",
        invalid=' aria-invalid="true"' if failed else "",
    )
    more = {"WWW-Authenticate": "Bearer"} if status == 401 else {"Retry-After": str(WINDOW)}
    return HTMLResponse(page, status, headers=more)
