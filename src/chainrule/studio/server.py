"""The page's server: it hands out the page's own files, takes tables, and carries messages."""

from __future__ import annotations

import asyncio
import secrets
import socket
from collections.abc import Callable
from contextlib import asynccontextmanager
from functools import partial
from importlib.resources import files
from typing import Any

import scipy.linalg  # noqa: F401 - loads its BLAS before threads are limited, which limits training's too
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket
from threadpoolctl import threadpool_limits

from chainrule.errors import ChainruleError, OptionError
from chainrule.studio import connection, export, messages, source
from chainrule.studio.guard import Guard, Rules
from chainrule.studio.hub import Hub
from chainrule.studio.session import Session

HOST = "127.0.0.1"
PORT = 8765
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
MODEL, CODE = "model.safetensors", "train.py"
SESSION = "/s/[0-9a-f]{32}"
LARGEST_MESSAGE = 2**18
MOST_REQUESTS = 100  # at once


def page_files() -> dict[str, tuple[bytes, str]]:
    """The page: the content and the type of each file by its name. Nothing else is ever handed out."""
    page = files("chainrule.studio") / "page"
    found = {}
    for entry in page.iterdir():
        suffix = f".{entry.name.rpartition('.')[2]}"
        if suffix in TYPES:
            found[entry.name] = (entry.read_bytes(), TYPES[suffix])
    return found


def rules(token: str, port: int, page: dict[str, Any], **limits: Any) -> Rules:
    """What the guard lets through."""
    assets = "|".join(name.replace(".", r"\.") for name in sorted(page))
    paths = {
        "/": "GET",
        f"/({assets})": "GET",
        f"{SESSION}/data": "POST",
        f"{SESSION}/(model|code)": "GET",
        rf"{SESSION}/trace/(units|matrix)/[0-9]{{1,9}}/(html|latex)": "GET",
        "/ws/(new|[0-9a-f]{32})": "WEBSOCKET",
    }
    hosts = frozenset({f"{HOST}:{port}", f"localhost:{port}"})
    return Rules(token, hosts, paths, **limits)


def application(hub: Hub, allowed: Rules, page: dict[str, tuple[bytes, str]]) -> Guard:
    """The whole server as an ASGI application."""

    async def show(request: Request) -> Response:
        content, kind = page[request.path_params.get("name", "index.html")]
        return Response(content, media_type=kind)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> Any:
        yield
        hub.close()

    async def talk(socket: WebSocket) -> None:
        await connection.serve(socket, hub)

    routes = [
        Route("/", show),
        Route("/{name}", show),
        Route("/s/{session}/data", _in_session(hub, _take), methods=["POST"]),
        Route("/s/{session}/model", _in_session(hub, _model)),
        Route("/s/{session}/code", _in_session(hub, _code)),
        Route("/s/{session}/trace/{form}/{row:int}/{style}", _in_session(hub, _trace)),
        WebSocketRoute("/ws/{name}", talk),
    ]
    return Guard(Starlette(routes=routes, lifespan=lifespan), allowed)


def _in_session(hub: Hub, handler: Any) -> Callable[[Request], Any]:
    async def handle(request: Request) -> Response:
        session = hub.find(request.path_params["session"])
        if session is None:
            return JSONResponse({"error": "This session has ended: load the page again."}, 404)
        try:
            response: Response = await handler(session, request)
        except ChainruleError as error:
            return JSONResponse({"error": str(error)}, 422)
        return response

    return handle


async def _take(session: Session, request: Request) -> Response:
    """A table from the page. Its name is never asked for."""
    raw = await request.body()
    table = await asyncio.to_thread(source.of_bytes, raw)
    await asyncio.wrap_future(session.ask(lambda: session.change_table(table)))
    return JSONResponse({"ok": True})


async def _model(session: Session, request: Request) -> Response:
    now = await messages.moment(session)
    content = await asyncio.to_thread(export.model_file, now.opened())
    return _attached(content, "application/octet-stream", MODEL)


async def _code(session: Session, request: Request) -> Response:
    now = await messages.moment(session)
    learnt = session.learnt is not None
    text = export.code(now.opened(), now.source, session.settings, now.facts["batch"], learnt=learnt)
    return _attached(text.encode(), "text/plain; charset=utf-8", CODE)


async def _trace(session: Session, request: Request) -> Response:
    now, asked = await messages.moment(session), request.path_params
    make = partial(export.trace_file, now.opened(), now.source.frame, asked["row"], asked["form"])
    text = await asyncio.to_thread(make, asked["style"])
    latex = asked["style"] == "latex"
    kind = "application/x-tex" if latex else "text/html"
    return _attached(text.encode(), f"{kind}; charset=utf-8", "trace.tex" if latex else "trace.html")


def _attached(content: bytes, kind: str, name: str) -> Response:
    return Response(
        content, media_type=kind, headers={"content-disposition": f'attachment; filename="{name}"'}
    )


# ------------------------------------------------------------------ starting


def bind(port: int | None) -> socket.socket:
    """A socket on this machine alone; without a port, the usual one or else any that is free.

    Raises
    ------
    OptionError
        If the port is in use.
    """
    for candidate in [port] if port is not None else [PORT, 0]:
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, candidate))
            listener.listen()  # a browser that is opened at once waits for the server
        except OSError:
            listener.close()
            continue
        return listener
    raise OptionError(f"Port {port} is in use or not allowed: choose another one with --port.")


class Studio:
    """A server that is ready to run.

    Parameters
    ----------
    make : callable
        Makes a session for a new tab.
    port : int, optional
    **limits
        ``most_bytes`` and ``seconds`` of `Rules`.

    Attributes
    ----------
    address : str
        What to open in a browser; whoever has it may use the studio.
    """

    def __init__(self, make: Callable[[], Session], port: int | None = None, **limits: Any) -> None:
        self.socket = bind(port)
        number = self.socket.getsockname()[1]
        token = secrets.token_urlsafe(32)
        self.address = f"http://{HOST}:{number}/{token}/"
        self.hub = Hub(make)
        page = page_files()
        config = uvicorn.Config(
            application(self.hub, rules(token, number, page, **limits), page),
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            http="h11",
            ws="websockets-sansio",
            ws_max_size=LARGEST_MESSAGE,
            ws_per_message_deflate=False,
            limit_concurrency=MOST_REQUESTS,
            timeout_graceful_shutdown=1,
        )
        self.server = uvicorn.Server(config)

    def run(self) -> None:
        """Serve until interrupted.

        Meanwhile BLAS has one thread: one processor trains, and the others are left to those who draw.
        Threads of BLAS that wait for a processor would halve the speed of training.
        """
        with threadpool_limits(1, user_api="blas"):
            self.server.run(sockets=[self.socket])
