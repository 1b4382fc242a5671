"""What stands before the page's server: only the page itself, opened by the person at this machine, gets in.

A page of another site can send requests to a server on this machine, and by DNS rebinding it can even pass
for its own host. So each request must name one of the exact hosts, come from one of the exact origins, and
carry the secret of this run as the first part of its path. What is not expressly allowed is refused here,
before any handler runs. Paths are compared with a closed list; no file is ever looked for by name.
"""

from __future__ import annotations

import asyncio
import hmac
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types chainrule"
)
HEADERS = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=(), usb=()"),
    (b"x-frame-options", b"DENY"),
    (b"cache-control", b"no-store"),
)
BODY = b"application/octet-stream"  # no form can send it: another site would have to ask first
WHOLE = re.compile(rb"[0-9]{1,18}")


@dataclass(frozen=True)
class Rules:
    """Who is let in, and to what.

    Attributes
    ----------
    token : str
        The secret of this run.
    hosts : frozenset of str
        The values that the header Host may have: "127.0.0.1:8765".
    paths : mapping of str to str
        A regular expression for what follows the token in a path, to the method it takes: "GET", "POST" or
        "WEBSOCKET".
    most_bytes : int
        The largest body.
    seconds : float
        So long a body may take to arrive.
    """

    token: str
    hosts: frozenset[str]
    paths: Mapping[str, str]
    most_bytes: int = 64 * 2**20
    seconds: float = 60.0


class RefusedError(Exception):
    """A request that is not let in, with its status and the reason."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class Guard:
    """An ASGI application around another one, which sees only what the rules allow.

    Parameters
    ----------
    app : callable
    rules : Rules
    """

    def __init__(self, app: App, rules: Rules) -> None:
        self.app = app
        self.rules = rules

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse the request, or hand it on without the token in its path."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        try:
            path = check(scope, self.rules)
            if scope["type"] == "http" and scope["method"] == "POST":
                receive = _again(await self._body(scope, receive))
        except RefusedError as refused:
            await (_refuse_socket if scope["type"] == "websocket" else _refuse)(send, refused)
            return
        inner = {**scope, "path": path, "raw_path": path.encode(), "root_path": ""}
        await self.app(inner, receive, send if scope["type"] == "websocket" else _with_headers(send))

    async def _body(self, scope: Scope, receive: Receive) -> bytes:
        """The body, of the announced length and in time."""
        announced = int(one(scope, b"content-length") or b"0")
        parts, size = [], 0
        try:
            async with asyncio.timeout(self.rules.seconds):
                while True:
                    message = await receive()
                    if message["type"] != "http.request":
                        raise RefusedError(400, "The sender left.")
                    parts.append(message.get("body", b""))
                    size += len(parts[-1])
                    if size > announced:
                        raise RefusedError(413, "The body is longer than announced.")
                    if not message.get("more_body"):
                        break
        except TimeoutError:
            raise RefusedError(408, "The body took too long.") from None
        if size != announced:
            raise RefusedError(400, "The body is shorter than announced.")
        return b"".join(parts)


def check(scope: Scope, rules: Rules) -> str:
    """The path behind the token, if the request is let in.

    Raises
    ------
    RefusedError
    """
    method = "WEBSOCKET" if scope["type"] == "websocket" else str(scope["method"])
    host = (one(scope, b"host") or b"").decode("latin-1")
    if host not in rules.hosts:
        raise RefusedError(421, "This host is not served here.")
    _check_origin(scope, method, f"http://{host}")
    path = _inner_path(scope, rules)
    taken = next((takes for form, takes in rules.paths.items() if re.fullmatch(form, path)), None)
    if taken is None:
        raise RefusedError(404, "There is nothing here.")
    if taken != method:
        raise RefusedError(405, "This cannot be done here.")
    if method == "POST":
        _check_body(scope, rules)
    elif method == "GET" and (
        one(scope, b"content-length") not in (None, b"0") or has(scope, b"transfer-encoding")
    ):
        raise RefusedError(400, "There must be no body.")
    return path


def one(scope: Scope, name: bytes) -> bytes | None:
    """The value of a header that may occur once.

    Raises
    ------
    RefusedError
        If it occurs more often.
    """
    values = [value for key, value in _headers(scope) if key == name]
    if len(values) > 1:
        raise RefusedError(400, "A header occurs twice.")
    return values[0] if values else None


def has(scope: Scope, name: bytes) -> bool:
    """Whether there is such a header."""
    return any(key == name for key, _ in _headers(scope))


def _headers(scope: Scope) -> Iterable[tuple[bytes, bytes]]:
    return ((bytes(key).lower(), bytes(value)) for key, value in scope["headers"])


def _check_origin(scope: Scope, method: str, home: str) -> None:
    """Nothing may come from another origin; what changes something must say where it comes from."""
    origin = one(scope, b"origin")
    if origin is None and method != "GET":
        raise RefusedError(403, "The request does not say where it comes from.")
    if origin is not None and origin.decode("latin-1") != home:
        raise RefusedError(403, "The request comes from elsewhere.")
    site = one(scope, b"sec-fetch-site")
    opened = method == "GET" and one(scope, b"sec-fetch-dest") == b"document"
    if site not in (None, b"same-origin", b"none") and not opened:
        raise RefusedError(403, "The request comes from elsewhere.")


def _inner_path(scope: Scope, rules: Rules) -> str:
    """What follows the token; the path must be written as the page writes it, without any escapes."""
    raw = bytes(scope.get("raw_path") or scope["path"].encode()).split(b"?")[0]
    if scope.get("query_string"):
        raise RefusedError(404, "There is nothing here.")
    found = re.fullmatch(rb"/([\w-]{16,128})(/[\w./-]*)", raw, re.ASCII)
    if found is None or not hmac.compare_digest(found[1], rules.token.encode()):
        raise RefusedError(403, "Open the address that chainrule printed, with its secret part.")
    return found[2].decode()


def _check_body(scope: Scope, rules: Rules) -> None:
    if one(scope, b"content-type") != BODY:
        raise RefusedError(415, "The body must be sent as application/octet-stream.")
    length = one(scope, b"content-length")
    if length is None or not WHOLE.fullmatch(length) or has(scope, b"transfer-encoding"):
        raise RefusedError(411, "The length of the body must be announced.")
    if int(length) > rules.most_bytes:
        raise RefusedError(413, f"The file is larger than {rules.most_bytes // 2**20} MiB.")
    if has(scope, b"content-encoding"):
        raise RefusedError(415, "The body must not be compressed.")


def _again(body: bytes) -> Receive:
    """What hands out a body that was read before."""
    messages = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        return messages.pop() if messages else {"type": "http.disconnect"}

    return receive


def _with_headers(send: Send) -> Send:
    async def sends(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), *HEADERS]}
        await send(message)

    return sends


async def _refuse(send: Send, refused: RefusedError) -> None:
    body = refused.reason.encode()
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
        *HEADERS,
    ]
    await send({"type": "http.response.start", "status": refused.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _refuse_socket(send: Send, refused: RefusedError) -> None:
    """Closing before accepting makes the handshake fail with 403."""
    await send({"type": "websocket.close", "code": 1008, "reason": refused.reason})
