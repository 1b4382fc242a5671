"""Hostile requests to the studio: every one is refused before a handler runs, and changes nothing."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections import deque

import pytest
from studio_server import ask, origin, place, running, upload
from websockets.exceptions import ConnectionClosedError, InvalidStatus
from websockets.sync.client import connect

from chainrule.studio.guard import Guard, check
from chainrule.studio.server import page_files, rules
from chainrule.studio.session import Session

TOKEN = "t" * 43
HOST = "127.0.0.1:8765"
HOME = "http://127.0.0.1:8765"
SESSION = "0123456789abcdef" * 2
RULES = rules(TOKEN, 8765, page_files(), most_bytes=1000, seconds=0.2)
BODY = {"content-type": "application/octet-stream", "content-length": "3", "origin": HOME}
UPLOAD = f"/{TOKEN}/s/{SESSION}/data"


def request(method="GET", path=f"/{TOKEN}/", *, kind="http", query="", host=HOST, extra=(), **headers):
    """A request as an ASGI server hands it on; `extra` holds further header lines."""
    lines = [("host", host)] if host is not None else []
    lines += [(name.replace("_", "-"), value) for name, value in headers.items()]
    return {
        "type": kind,
        "method": method,
        "path": path,
        "raw_path": path.encode("latin-1"),
        "query_string": query.encode(),
        "headers": [(k.encode("latin-1"), v.encode("latin-1")) for k, v in [*lines, *extra]],
    }


def through(scope, *bodies, slow=0.0):
    """Send a request through the guard: status (of the handshake: 101 or 403), and whether a handler ran."""
    sent, handled, parts = [], [], list(bodies)

    async def handler(scope, receive, send):
        handled.append(scope["path"])
        if scope["type"] == "websocket":
            await send({"type": "websocket.accept"})
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def receive():
        if slow:
            await asyncio.sleep(slow)
        body = parts.pop(0) if parts else b""
        return {"type": "http.request", "body": body, "more_body": bool(parts)}

    async def send(message):
        sent.append(message)

    asyncio.run(Guard(handler, RULES)(scope, receive, send))
    if scope["type"] == "websocket":
        return 101 if sent[0]["type"] == "websocket.accept" else 403, handled
    return sent[0]["status"], handled


def post(**changes):
    """An upload that would be let in, but for what is changed."""
    headers = {**BODY, **changes.pop("headers", {})}
    kept = {name.replace("-", "_"): value for name, value in headers.items() if value is not None}
    return request("POST", changes.pop("path", UPLOAD), **changes, **kept)


def ws(path=f"/{TOKEN}/ws/new", **headers):
    return request("WEBSOCKET", path, kind="websocket", **headers)


WELCOME = {
    "the page": request(),
    "from localhost": request(host="localhost:8765"),
    "a script": request(path=f"/{TOKEN}/index.html", origin=HOME, sec_fetch_site="same-origin"),
    "a model": request(path=f"/{TOKEN}/s/{SESSION}/model", sec_fetch_site="same-origin"),
    "a link in a mail": request(sec_fetch_site="cross-site", sec_fetch_dest="document"),
    "an upload": post(),
    "a socket": ws(origin=HOME),
}
HOSTILE = {
    # the host: DNS rebinding
    "another host": request(host="evil.example"),
    "another host, this port": request(host="evil.example:8765"),
    "no host": request(host=None),
    "an empty host": request(host=""),
    "the right host as a part": request(host="127.0.0.1:8765.evil.example"),
    "another port": request(host="127.0.0.1:8766"),
    "no port": request(host="127.0.0.1"),
    "another spelling of the address": request(host="2130706433:8765"),
    "a short spelling of the address": request(host="127.1:8765"),
    "the address of all": request(host="0.0.0.0:8765"),
    "a name that resolves to here": request(host="localtest.me:8765"),
    "a final dot": request(host="localhost.:8765"),
    "capital letters": request(host="LOCALHOST:8765"),
    "a user in the host": request(host="user@127.0.0.1:8765"),
    "two hosts": request(extra=[("host", "evil.example")]),
    "a host with spaces": request(host=" 127.0.0.1:8765 "),
    "a forwarded host": request(host="evil.example", x_forwarded_host=HOST),
    # the origin
    "a foreign origin": post(headers={"origin": "https://evil.example"}),
    "the origin null": post(headers={"origin": "null"}),
    "no origin": post(headers={"origin": None}),
    "an empty origin": post(headers={"origin": ""}),
    "the origin as a prefix": post(headers={"origin": HOME + ".evil.example"}),
    "the origin as a suffix": post(headers={"origin": "http://evil-127.0.0.1:8765"}),
    "another scheme": post(headers={"origin": "https://127.0.0.1:8765"}),
    "another port's origin": post(headers={"origin": "http://127.0.0.1:3000"}),
    "the origin of another name of this machine": post(headers={"origin": "http://localhost:8765"}),
    "two origins": post(extra=[("origin", "https://evil.example")]),
    "an origin with a path": post(headers={"origin": HOME + "/"}),
    "reading from a foreign origin": request(origin="https://evil.example"),
    "fetched by another site": request(path=f"/{TOKEN}/s/{SESSION}/model", sec_fetch_site="cross-site"),
    "fetched by another port": request(sec_fetch_site="same-site", sec_fetch_dest="script"),
    "an upload by another port": post(headers={"sec-fetch-site": "same-site"}),
    # the token
    "no token": request(path="/"),
    "a page without a token": request(path="/index.html"),
    "a wrong token": request(path=f"/{'u' * 43}/"),
    "a part of the token": request(path=f"/{TOKEN[:-1]}/"),
    "a longer token": request(path=f"/{TOKEN}t/"),
    "the token in the query": request(path="/", query=f"token={TOKEN}"),
    "the token in a header": request(path="/", authorization=f"Bearer {TOKEN}"),
    "the token in a cookie": request(path="/", cookie=f"token={TOKEN}"),
    "an upload without a token": post(path=f"/s/{SESSION}/data"),
    # what changes something
    "an upload by GET": request(path=UPLOAD),
    "an upload by PUT": request("PUT", UPLOAD, **{k.replace("-", "_"): v for k, v in BODY.items()}),
    "a model by POST": post(path=f"/{TOKEN}/s/{SESSION}/model"),
    "JSON as plain text": post(headers={"content-type": "text/plain"}),
    "a form": post(headers={"content-type": "multipart/form-data; boundary=x"}),
    "a form's fields": post(headers={"content-type": "application/x-www-form-urlencoded"}),
    "no type": post(headers={"content-type": None}),
    "DELETE": request("DELETE", UPLOAD, origin=HOME),
    "OPTIONS": request("OPTIONS", UPLOAD, origin=HOME, access_control_request_method="POST"),
    "TRACE": request("TRACE", origin=HOME),
    "HEAD": request("HEAD", origin=HOME),
    "a GET with a body": request(content_length="3"),
    "a query": request(query="settings=1"),
    # the size
    "too large": post(headers={"content-length": "1001"}),
    "a huge length": post(headers={"content-length": "9" * 30}),
    "a negative length": post(headers={"content-length": "-1"}),
    "no length": post(headers={"content-length": None}),
    "chunked": post(headers={"content-length": None, "transfer-encoding": "chunked"}),
    "both lengths": post(headers={"transfer-encoding": "chunked"}),
    "two lengths": post(extra=[("content-length", "900")]),
    "compressed": post(headers={"content-encoding": "gzip"}),
    # the path
    **{
        f"the path {spelling!r}": request(path=f"/{TOKEN}/{spelling}")
        for spelling in (
            "../pyproject.toml",
            "..",
            "./index.html",
            "%2e%2e/pyproject.toml",
            "..%2fpyproject.toml",
            "..%252fpyproject.toml",
            "..\\pyproject.toml",
            "..%5cpyproject.toml",
            "....//pyproject.toml",
            "/etc/passwd",
            "C:/Windows/win.ini",
            "index.html%00.js",
            "index.html/",
            "index.html/..",
            "%c0%ae%c0%ae/pyproject.toml",
            "..;/index.html",
            "page/index.html",
            "__init__.py",
            "guard.py",
            "INDEX.HTML",
            "index.html\n",
            "ws/../index.html",
        )
    },
    "a session that is no name": request(path=f"/{TOKEN}/s/../model"),
    "a session with a wrong name": request(path=f"/{TOKEN}/s/{SESSION[:-1]}/model"),
    "a trace in another form": request(path=f"/{TOKEN}/s/{SESSION}/trace/units/1/exe"),
    "a trace of row -1": request(path=f"/{TOKEN}/s/{SESSION}/trace/units/-1/html"),
    "a page that is a socket": request(path=f"/{TOKEN}/ws/new"),
    # sockets
    "a socket from elsewhere": ws(origin="https://evil.example"),
    "a socket from null": ws(origin="null"),
    "a socket without an origin": ws(),
    "a socket from another port": ws(origin="http://localhost:3000"),
    "a socket to another host": ws(origin=HOME, host="evil.example:8765"),
    "a socket without a token": ws("/ws/new", origin=HOME),
    "a socket with a wrong token": ws(f"/{'u' * 43}/ws/new", origin=HOME),
    "a socket to a page": ws(f"/{TOKEN}/", origin=HOME),
    "a socket to any name": ws(f"/{TOKEN}/ws/../new", origin=HOME),
    "two origins of a socket": ws(origin=HOME, extra=[("origin", "https://evil.example")]),
    "a cross-site socket": ws(origin=HOME, sec_fetch_site="cross-site"),
}


@pytest.mark.parametrize("scope", WELCOME.values(), ids=WELCOME)
def test_the_page_itself_is_let_in(scope):
    status, handled = through(scope, b"abc")
    assert status in (101, 200)
    assert len(handled) == 1 and TOKEN not in handled[0]


def test_there_are_many_hostile_requests():
    assert len(HOSTILE) >= 50


@pytest.mark.parametrize("scope", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_request_reaches_no_handler(scope):
    status, handled = through(scope, b"abc")
    assert status in (400, 403, 404, 405, 408, 411, 413, 415, 421)
    assert handled == []


@pytest.mark.parametrize(
    ("bodies", "slow", "status"),
    [
        ((b"a", b"bc"), 0.0, 200),
        ((b"abcd",), 0.0, 413),
        ((b"ab", b"cd", b"ef"), 0.0, 413),
        ((b"ab",), 0.0, 400),
        ((b"a", b"b", b"c"), 0.15, 408),
    ],
    ids=["in parts", "longer", "longer in parts", "shorter", "slow"],
)
def test_a_body_must_be_as_announced_and_in_time(bodies, slow, status):
    assert through(post(), *bodies, slow=slow)[0] == status


def test_the_check_hands_on_the_path_without_the_secret():
    assert check(request(path=f"/{TOKEN}/index.html"), RULES) == "/index.html"


# ------------------------------------------------------------------ a server that runs


@pytest.fixture(scope="module")
def studio():
    with running(most_bytes=100_000, seconds=0.5) as studio:
        yield studio


@pytest.fixture(scope="module")
def session(studio):
    """A session, as a new tab opens one."""
    return studio.hub.open("new")


def state(session):
    return session.ask(lambda: (session.version, session.shape, session.settings, session.target)).result()


def test_the_page_comes_with_a_strict_policy(studio):
    status, headers, body = ask(studio, "GET", "/")
    assert status == 200 and body.startswith(b"<!doctype html>")
    policy = headers["content-security-policy"]
    for part in ("default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "form-action 'none'"):
        assert part in policy
    assert "unsafe" not in policy and "*" not in policy and "http" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert "server" not in headers and "access-control-allow-origin" not in headers


def test_a_refusal_is_plain_text_with_the_same_policy(studio):
    status, headers, body = ask(studio, "GET", "/<script>alert(1)</script>")
    assert status in (403, 404) and b"<" not in body
    assert headers["content-type"].startswith("text/plain")
    assert "default-src 'none'" in headers["content-security-policy"]


def test_hostile_requests_change_nothing_on_a_server_that_runs(studio, session):
    before = state(session)
    home = f"/s/{session.name}/data"
    csv = b"a,b\n1,2\n2,3\n3,4\n"
    good = {"Origin": origin(studio), "Content-Type": "application/octet-stream"}
    for wrong in (
        {**good, "Origin": "https://evil.example"},
        {**good, "Content-Type": "text/plain"},
        {**good, "Host": "evil.example"},
        {**good, "Sec-Fetch-Site": "cross-site"},
        {"Content-Type": "application/octet-stream"},
    ):
        assert ask(studio, "POST", home, csv, **wrong)[0] in (403, 415, 421)
    assert upload(studio, session.name, b"x" * 100_001)[0] == 413
    assert ask(studio, "GET", home)[0] == 405
    assert state(session) == before
    assert upload(studio, session.name, csv)[0] == 200
    assert state(session) != before


def test_a_slow_body_is_given_up(studio, session):
    host, port, start = place(studio)
    head = (
        f"POST {start}s/{session.name}/data HTTP/1.1\r\nHost: {host}:{port}\r\nOrigin: {origin(studio)}\r\n"
        "Content-Type: application/octet-stream\r\nContent-Length: 1000\r\n\r\n"
    )
    before = state(session)
    with socket.create_connection((host, port), timeout=10) as line:
        line.sendall(head.encode() + b"a,b")
        began = time.monotonic()
        answer = line.recv(4096)
    assert answer.split()[1] == b"408" and time.monotonic() - began < 5
    assert state(session) == before


def test_an_unknown_session_is_not_found(studio):
    assert ask(studio, "GET", f"/s/{SESSION}/model")[0] == 404
    assert upload(studio, SESSION, b"a,b\n1,2\n")[0] == 404


def test_a_handshake_from_elsewhere_is_refused(studio):
    address = studio.address.replace("http", "ws") + "ws/new"
    before = len(studio.hub._sessions)
    for wrong in ("https://evil.example", "null", None):
        with pytest.raises(InvalidStatus) as refused, connect(address, origin=wrong):
            pass
        assert refused.value.response.status_code == 403
    assert len(studio.hub._sessions) == before


MESSAGES = [
    "",
    "not JSON",
    "[]",
    "null",
    '"start"',
    "{}",
    '{"do": 1}',
    '{"do": "quit"}',
    '{"do": "__class__"}',
    '{"do": ["start"]}',
    "[" * 100_000,
    '{"do": "settings"}',
    '{"do": "settings", "settings": {"layers": [{"units": -1}]}}',
    '{"do": "settings", "settings": {"layers": [{"units": 1e9}]}}',
    '{"do": "settings", "settings": {"layers": "many"}}',
    '{"do": "settings", "settings": {"optimiser": "__import__(\'os\')"}}',
    '{"do": "settings", "settings": {"learning_rate": "NaN"}}',
    '{"do": "settings", "settings": {"learning_rate": NaN}}',
    '{"do": "settings", "settings": {"batch_size": 0}}',
    '{"do": "settings", "settings": {"__class__": "x"}}',
    '{"do": "example", "example": {"name": "../../etc/passwd"}}',
    '{"do": "example", "example": {"rows": 1000000000}}',
    '{"do": "target", "target": {"a": 1}}',
    '{"do": "view", "view": {"kind": "features", "x": -1}}',
    '{"do": "equations", "row": 1000000, "element": {"kind": "loss"}}',
    '{"do": "equations", "row": 0, "element": {"kind": "unit", "layer": 1, "unit": 99}}',
    '{"do": "equations", "row": 0, "element": {"kind": "unit", "layer": true, "unit": 0}}',
    '{"do": "start", "speed": "warp"}',
    '{"do": "step", "unit": "year"}',
]


@pytest.mark.parametrize("text", MESSAGES, ids=range(len(MESSAGES)))
def test_a_wrong_message_gets_one_sentence_and_changes_nothing(studio, text):
    address = studio.address.replace("http", "ws") + "ws/new"
    with connect(address, origin=origin(studio)) as line:
        name = json.loads(line.recv())["session"]
        session = studio.hub.find(name)
        before = session.ask(lambda: (session.settings, session.source, session.running)).result()
        line.send(text)
        answer = reply(line)
        assert answer["error"].endswith((".", ")")) and "Traceback" not in answer["error"]
        assert session.ask(lambda: (session.settings, session.source, session.running)).result() == before


def reply(line):
    """The next message that answers a request."""
    while True:
        message = line.recv(timeout=20)
        if isinstance(message, str) and "re" in (answer := json.loads(message)):
            return answer


def test_an_oversized_message_ends_the_connection_only(studio):
    address = studio.address.replace("http", "ws") + "ws/new"
    with connect(address, origin=origin(studio)) as line:
        line.send("x" * 2**19)
        with pytest.raises(ConnectionClosedError, match="1009"):
            deque(line, maxlen=0)
    assert ask(studio, "GET", "/")[0] == 200


def test_a_new_session_has_an_unguessable_name():
    names = {Session().name for _ in range(3)}
    assert len(names) == 3 and all(len(name) == 32 for name in names)
