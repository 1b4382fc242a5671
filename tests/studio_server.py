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
