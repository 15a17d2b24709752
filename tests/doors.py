"""A real server of an application, in a thread."""

import asyncio
import contextlib
import functools
import threading
import time

import uvicorn
from websockets.sync.client import connect

from belief_tools.http_door import address, config, listen


@functools.cache
def loop():
    """The one loop of all servers: Shiny has a lock that is the same for all of a process."""
    one = asyncio.new_event_loop()
    threading.Thread(target=one.run_forever, daemon=True).start()
    return one


@contextlib.contextmanager
def serving(app, path="/", *, websockets=True):
    """Serve an application at a loopback address; gives its address with the path."""
    listening = listen("127.0.0.1", 0)
    running = uvicorn.Server(config(app, websockets=websockets))
    serves = asyncio.run_coroutine_threadsafe(running.serve(sockets=[listening]), loop())
    try:
        yield address(listening, path)
    finally:
        running.should_exit = True
        serves.result(20)
        listening.close()


def websocket(url, origin=None, **headers):
    """An open websocket of an address that `serving` gives."""
    at = url.replace("http://", "ws://") + "websocket/"
    return connect(at, origin=origin, additional_headers=headers, proxy=None, open_timeout=10)


def in_time(happens):
    """Whether something happens within some seconds: a server sees the end of others later."""
    until = time.monotonic() + 5
    while not (happened := happens()) and time.monotonic() < until:
        time.sleep(0.02)
    return happened
