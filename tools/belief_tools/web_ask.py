"""Asking: a conversation in the browser that began it, as of the session that is looked at."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final, NamedTuple

import numpy as np
from htmltools import Tag, TagList, tags
from shiny import Inputs, Outputs, reactive, render, ui
from shinychat import Chat

from belief.errors import BeliefError
from belief_tools.answer import Answer
from belief_tools.answer_card import coming_card, error_card, reply_card
from belief_tools.looks import Place
from belief_tools.talks import Said
from belief_tools.terminal import printable
from belief_tools.web_state import Sitting

GLANCE: Final = 0.1  # seconds between looks at an answer that is coming
WAITING: Final = "waiting for the answers to other questions"
THINKING: Final = "consulting the belief"


def ask(sitting: Sitting, inputs: Inputs, output: Outputs) -> None:
    """Take questions, and show what comes of them.

    Args:
        sitting: what the browser looks at.
        inputs: of the browser.
        output: to the browser.
    """
    chat = Chat("chat", history=False)
    _take_questions(sitting, chat)
    _show_conversation(sitting, chat)
    _begin_anew(sitting, inputs, chat)

    @output
    @render.ui
    def asked_as_of() -> Tag | None:
        look = sitting.look()
        if look is None:
            return None
        return ui.p(f"Answers rest on what was known at the close of {look.tool.prices.as_of}.")


def _take_questions(sitting: Sitting, chat: Chat) -> None:
    @chat.on_user_submit
    async def _take(question: str) -> None:
        place = sitting.place()
        try:
            said = sitting.shared.ask(sitting.visitor, place, question)
        except BeliefError as error:
            await chat.append_message(TagList(error_card(error)))
        else:
            await chat.append_message_stream(_coming(sitting, chat, said, place))


def _show_conversation(sitting: Sitting, chat: Chat) -> None:
    """What was said before, when the page is loaded again or another session is picked."""
    shown: list[np.datetime64 | None] = []

    @reactive.effect
    async def _show() -> None:
        place = sitting.place()
        if shown == [place.as_of]:
            return
        if shown:
            await chat.clear_messages()
        shown[:] = [place.as_of]
        talk = sitting.shared.talks.talk(sitting.visitor, place.as_of)
        for said in talk.said:
            await _replay(sitting, chat, said, place)


async def _replay(sitting: Sitting, chat: Chat, said: Said, place: Place) -> None:
    await chat.append_message({"role": "user", "content": TagList(printable(said.question))})
    if said.done:
        await chat.append_message(_so_far(said))
    else:
        await chat.append_message_stream(_coming(sitting, chat, said, place))


def _begin_anew(sitting: Sitting, inputs: Inputs, chat: Chat) -> None:
    @reactive.effect
    @reactive.event(inputs.anew)
    async def _anew() -> None:
        sitting.shared.talks.forget(sitting.visitor, sitting.place().as_of)
        await chat.clear_messages()


async def _coming(sitting: Sitting, chat: Chat, said: Said, place: Place) -> AsyncIterator[TagList]:
    """Show an answer while it comes, for as long as its conversation is the one that is shown."""
    async with chat.message_stream_context() as message:
        shown = Shown()
        while _is_shown(sitting, place) and not shown.done:
            now = Shown(said.begun, len(said.replies), said.coming, said.done)
            more = now.beyond(shown)
            if more is None:
                await message.replace(_so_far(said))
            elif more:
                await message.append(TagList(tags.span(printable(more), class_="answer-text")))
            shown = now
            await asyncio.sleep(GLANCE)
    if shown.done:
        await _mark_target(sitting, said, place)
    return
    yield  # all is shown through the context


class Shown(NamedTuple):
    """What is shown of an answer."""

    begun: bool = False
    n_replies: int = 0
    text: str | None = None
    done: bool = False

    def beyond(self, before: "Shown") -> str | None:
        """The words that are new, where nothing else is; None where more than words has changed.

        What is replaced is gone for a moment, and words that come later are not to make those
        before them flicker.
        """
        if before.text is None or self[:2] != before[:2] or self.done != before.done:
            return None
        grows = (self.text or "").startswith(before.text)
        return (self.text or "")[len(before.text) :] if grows else None


def _is_shown(sitting: Sitting, place: Place) -> bool:
    with reactive.isolate():
        return sitting.place().as_of == place.as_of


def _so_far(said: Said) -> TagList:
    """All that may be shown of an answer."""
    cards = [reply_card(reply) for reply in said.replies]
    if not said.done:
        cards.append(coming_card(said.coming, THINKING if said.begun else WAITING))
    return TagList(*cards)


async def _mark_target(sitting: Sitting, said: Said, place: Place) -> None:
    """Mark in the picture the day that was asked about."""
    targets = [
        reply.came.result.target
        for reply in said.replies
        if isinstance(reply.came, Answer)
        and reply.came.result is not None
        and reply.came.symbol == place.symbol
    ]
    if targets:
        async with reactive.lock():
            with reactive.isolate():
                if sitting.place() == place:  # unless something else is looked at by now
                    sitting.target.set(np.datetime64(targets[-1], "D"))
            await reactive.flush()
