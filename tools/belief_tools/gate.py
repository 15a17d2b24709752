"""What of an answer may be shown while it is still coming: whole sentences that are grounded."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from belief_tools.grounding import check

_END = re.compile(r"[.!?][\"'\u201d\u2019)*_]*\s+(?=[^\s\d])|\n+")
LONGEST = 4_000  # characters; nothing longer passes
_OF_THE_WHOLE = ("missing", "sentence")  # rules that a beginning need not keep


class Gate:
    """Lets a text through sentence by sentence, as far as it passes the grounding check.

    A sentence that fails, and all after it, are held back until the whole text has been judged;
    what was let through is taken back where the whole does not pass.
    """

    def __init__(
        self, result: Mapping[str, Any], question: str, show: Callable[[str], None]
    ) -> None:
        """Begin with nothing shown.

        Args:
            result: the fields of the forecast.
            question: what was asked.
            show: is given all that may be shown; an empty text takes it back.
        """
        self.result, self.question, self.show = result, question, show
        self.shown = ""
        self._judged = 0  # characters; no beginning is judged twice

    def more(self, text: str) -> None:
        """Take in the text so far, and show what of it may be shown.

        Args:
            text: all that has come, from its beginning.
        """
        ends = [match.end() for match in _END.finditer(text)]
        begun = text[: ends[-1]].strip() if ends else ""
        if len(begun) <= max(len(self.shown), self._judged) or len(begun) > LONGEST:
            return
        self._judged = len(begun)
        if all(each.rule in _OF_THE_WHOLE for each in self._findings(begun)):
            self._let_through(begun)

    def close(self, text: str) -> None:
        """Show the text as it was judged in the end; an empty one takes everything back."""
        if text != self.shown:
            self._let_through(text)

    def _findings(self, text: str) -> Any:
        return check(text, self.result, question=self.question)

    def _let_through(self, text: str) -> None:
        self.shown = text
        self.show(text)
