"""A real server of an application, in a thread."""

import contextlib
import threading
import time

import uvicorn
from websockets.sync.client import connect

from belief_tools.http_door import address, config, listen


@contextlib.contextmanager
def serving(app, path="/", *, websockets=True):
    """Serve an application at a loopback address; gives its address with the path."""
    listening = listen("127.0.0.1", 0)
    running = uvicorn.Server(config(app, websockets=websockets))
    thread = threading.Thread(target=running.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        yield address(listening, path)
    finally:
        running.should_exit = True
        thread.join(20)
        listening.close()
    assert not thread.is_alive()


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
