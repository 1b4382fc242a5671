"""One tab's connection: requests in, answers out, and frames as fast as the tab draws them."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from chainrule.errors import ChainruleError
from chainrule.studio import messages, settings, views
from chainrule.studio.examples import EXAMPLES
from chainrule.studio.hub import GRACE, Hub
from chainrule.studio.session import Moment, Session, curve

BETWEEN = 1 / 36  # seconds from one frame to the next, at least
AHEAD = 2  # frames that may be on their way before the tab has drawn one
LEFT = (WebSocketDisconnect, RuntimeError, KeyError)  # the tab has left, or speaks no text
LOG = logging.getLogger(__name__)


class Connection:
    """A tab that looks at a session.

    Parameters
    ----------
    socket : WebSocket
        Accepted.
    session : Session
    """

    def __init__(self, socket: WebSocket, session: Session) -> None:
        self.socket = socket
        self.session = session
        self._changed = asyncio.Event()
        self._free = asyncio.Semaphore(AHEAD)
        self._unseen = 0
        self._shape = self._run = -1
        self._last = -1.0

    async def talk(self) -> None:
        """Answer and draw until the tab leaves."""
        loop = asyncio.get_running_loop()

        def changed() -> None:
            loop.call_soon_threadsafe(self._changed.set)

        self.session.listeners.add(changed)
        self._changed.set()
        drawing = asyncio.create_task(self._draw_on())
        try:
            await self._send({"kind": "hello", "session": self.session.name, **hello()})
            while True:
                await self._answer(await self.socket.receive_text())
        except LEFT:
            pass
        finally:
            drawing.cancel()
            self.session.listeners.discard(changed)

    async def _answer(self, text: str) -> None:
        request: Any = {}
        try:
            request = messages.parse(text)
            if request["do"] == "seen":
                self._drawn()
                return
            answer = await messages.answer(self.session, request)
        except ChainruleError as error:
            answer = {"error": str(error)}
        except Exception:  # one failed request must not end the connection
            LOG.exception("A request of the page failed.")
            answer = {"error": "This failed inside of chainrule; the terminal shows how."}
        if isinstance(answer, bytes):
            await self.socket.send_bytes(answer)
        else:
            await self._send({"re": request.get("id"), **answer})

    async def _send(self, facts: dict[str, Any]) -> None:
        await self.socket.send_text(json.dumps(views.clean(facts), ensure_ascii=False))

    def _drawn(self) -> None:
        if self._unseen:
            self._unseen -= 1
            self._free.release()

    async def _draw_on(self) -> None:
        """Draw; if that fails, end the connection, so that the tab sees it and comes back."""
        try:
            await self._draw()
        except LEFT:
            pass
        except Exception:  # its task would keep it to itself
            LOG.exception("A picture of the network failed.")
            await self.socket.close(1011)

    def _look(self) -> tuple[Moment, dict[str, Any] | None]:
        """The session as it is now and, where its shape is news, what it is."""
        now = self.session.moment(memory=False)
        return now, self.session.describe() if now.shape != self._shape else None

    async def _draw(self) -> None:
        """Send a frame after each change, but none before the tab has drawn an earlier one."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            await self._changed.wait()
            await self._free.acquire()
            await asyncio.sleep(due - loop.time())
            due = loop.time() + BETWEEN
            self._unseen += 1
            self._changed.clear()
            now, facts = await asyncio.wrap_future(self.session.ask(self._look))
            if facts is not None:
                self._shape = now.shape
                await self._send({"kind": "state", **facts})
                if now.model is not None and now.plane is not None:
                    header, blobs = await asyncio.to_thread(views.points, now.model, now.plane)
                    await self.socket.send_bytes(views.pack({"kind": "plane", **header}, blobs))
            if now.model is None:
                self._drawn()
                continue
            since = self._last if now.facts["run"] == self._run else -1.0
            self._run, self._last = now.facts["run"], now.points[-1].epoch
            await self.socket.send_bytes(await asyncio.to_thread(frame, now, since))


def hello() -> dict[str, Any]:
    """What the page must know before anything else: what can be chosen."""
    examples = [{"name": e.name, "title": e.title, "made": e.draw is not None} for e in EXAMPLES.values()]
    return {"choices": settings.choices(), "examples": examples}


def frame(now: Moment, since: float) -> bytes:
    """One picture of the network, with the points of the curve after an epoch (all, if it is negative)."""
    model, plane = now.opened(), now.plane
    assert plane is not None
    header, blobs = views.surfaces(model, plane, fine=not now.facts["running"])
    points = curve([point for point in now.points if point.epoch > since])
    facts = {"kind": "frame", "version": now.version, "shape": now.shape, **now.facts}
    return views.pack({**facts, "reset": since < 0, "points": points, **header}, blobs | views.weights(model))


async def serve(socket: WebSocket, hub: Hub) -> None:
    """Let a tab in: to the session that it had, or to a new one."""
    await socket.accept()
    try:
        session = hub.open(socket.path_params["name"])
    except ChainruleError as error:
        await socket.send_text(json.dumps({"kind": "full", "error": str(error)}))
        await socket.close(1013)
        return
    await Connection(socket, session).talk()
    asyncio.get_running_loop().call_later(GRACE, hub.leave(session))
