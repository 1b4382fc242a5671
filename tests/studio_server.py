"""A studio that runs in this process, for the tests."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from chainrule.studio.server import Studio
from chainrule.studio.session import Session
from chainrule.studio.settings import Settings
from chainrule.studio.source import ExampleChoice, example


@contextmanager
def running(make: Any = Session, **limits: Any) -> Iterator[Studio]:
    """A studio on a free port."""
    studio = Studio(make, 0, **limits)
    thread = threading.Thread(target=studio.run)
    thread.start()
    deadline = time.monotonic() + 30
    while not studio.server.started:
        assert thread.is_alive() and time.monotonic() < deadline, "the studio did not start"
        time.sleep(0.01)
    try:
        yield studio
    finally:
        studio.server.should_exit = True
        thread.join(20)
        assert not thread.is_alive(), "the studio did not stop"


def place(studio: Studio) -> tuple[str, int, str]:
    """Host, port and the path with the secret."""
    parts = urlsplit(studio.address)
    assert parts.hostname and parts.port
    return parts.hostname, parts.port, parts.path


def origin(studio: Studio) -> str:
    """What the page's own requests have as their origin."""
    host, port, _ = place(studio)
    return f"http://{host}:{port}"


def ask(
    studio: Studio, method: str, path: str, body: bytes | None = None, **headers: str
) -> tuple[int, dict[str, str], bytes]:
    """One request with a path behind the secret: status, headers and body."""
    host, port, start = place(studio)
    connection = http.client.HTTPConnection(host, port, timeout=20)
    try:
        connection.request(method, start.rstrip("/") + path, body, headers)
        response = connection.getresponse()
        found = {name.lower(): value for name, value in response.getheaders()}
        return response.status, found, response.read()
    finally:
        connection.close()


def upload(studio: Studio, session: str, raw: bytes) -> tuple[int, bytes]:
    """Hand over a table as the page does."""
    headers = {"Origin": origin(studio), "Content-Type": "application/octet-stream"}
    status, _, body = ask(studio, "POST", f"/s/{session}/data", raw, **headers)
    return status, body


CSV = b"""age,colour,income,bought
31,red,1200,yes
,blue,900,no
45,,2100,yes
22,green,700,no
38,red,,yes
29,blue,800,no
51,red,3000,yes
24,green,650,no
""" + b"".join(
    f"{20 + i},{'red' if i % 2 else 'blue'},{600 + 40 * i},{'yes' if i > 20 else 'no'}\n".encode()
    for i in range(40)
)
SMALL = {"layers": [{"units": 3, "activation": "tanh"}], "batch_size": 16, "epochs": 40}


def settled(choice=None, **settings):
    """A session on a small network, and a function that calls it."""
    session = Session(example(ExampleChoice(**(choice or {"rows": 60}))))
    session.ask(lambda: session.change_settings(Settings.from_dict({**SMALL, **settings}))).result()
    assert session.problem == ""
    return session
