"""What the page may ask for, and the answers: a closed table of requests."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from chainrule.errors import OptionError
from chainrule.studio import lesson, views
from chainrule.studio.session import Moment, Session
from chainrule.studio.settings import Settings
from chainrule.studio.source import ExampleChoice, example

Request = Mapping[str, Any]
Answer = dict[str, Any]


def parse(text: str) -> Request:
    """A request.

    Raises
    ------
    OptionError
        If the text is none.
    """
    try:
        request = json.loads(text)
    except (ValueError, RecursionError):
        raise OptionError("A request is JSON.") from None
    if not isinstance(request, dict) or request.get("do") not in REQUESTS:
        raise OptionError("There is no such request.")
    return request


async def answer(session: Session, request: Request) -> Answer | bytes:
    """Do what is asked for.

    Raises
    ------
    ChainruleError
        If it cannot be done; the message says why.
    """
    return await REQUESTS[request["do"]](session, request)


async def moment(session: Session) -> Moment:
    """The session as it is now."""
    return await asyncio.wrap_future(session.ask(session.moment))


# ------------------------------------------------------------------ what changes something


async def _settings(session: Session, request: Request) -> Answer:
    settings = Settings.from_dict(request.get("settings"))
    return await _told(session, lambda: session.change_settings(settings))


async def _example(session: Session, request: Request) -> Answer:
    source = await asyncio.to_thread(example, ExampleChoice.from_dict(request.get("example")))
    return await _told(session, lambda: session.change_table(source))


async def _restore(session: Session, request: Request) -> Answer:
    """Settings, and with an example its rows too, from a link."""
    facts = request.get("link")
    if not isinstance(facts, dict):
        raise OptionError("The link holds no settings.")
    settings = Settings.from_dict(facts.get("settings", {}))
    source = example(ExampleChoice.from_dict(facts["example"])) if facts.get("example") else None

    def restore() -> None:
        session.settings = settings
        if source is not None:
            session.change_table(source)
        else:
            session.build()

    return await _told(session, restore)


async def _target(session: Session, request: Request) -> Answer:
    return await _told(session, lambda: session.change_target(request.get("target")))


async def _view(session: Session, request: Request) -> Answer:
    view = request.get("view")
    if not isinstance(view, dict):
        raise OptionError("A view is an object.")
    chosen = {key: view[key] for key in ("kind", "x", "y") if key in view}
    return await _told(session, lambda: session.change_view(chosen))


async def _start(session: Session, request: Request) -> Answer:
    return await _told(session, lambda: session.start(str(request.get("speed", "epoch"))))


async def _pause(session: Session, request: Request) -> Answer:
    return await _told(session, session.pause)


async def _step(session: Session, request: Request) -> Answer:
    return await _told(session, lambda: session.step(str(request.get("unit"))))


async def _rewind(session: Session, request: Request) -> Answer:
    return await _told(session, session.rewind)


async def _told(session: Session, change: Callable[[], None]) -> Answer:
    await asyncio.wrap_future(session.ask(change))
    return {"ok": True}


# ------------------------------------------------------------------ what is looked at


async def _equations(session: Session, request: Request) -> Answer:
    now, element = await moment(session), request.get("element")
    if not isinstance(element, dict):
        raise OptionError("An element of the network is an object.")
    model, row = now.opened(), _row(now, request)
    found = await asyncio.to_thread(lesson.equations, model, now.source.frame, row, element)
    return {"version": now.version, "row": row, "element": element, "equations": views.clean(found)}


async def _walk(session: Session, request: Request) -> Answer:
    now = await moment(session)
    steps = await asyncio.to_thread(lesson.walk, now.opened(), now.source.frame, _row(now, request))
    return {"version": now.version, "steps": views.clean(steps)}


async def _pass(session: Session, request: Request) -> bytes:
    now = await moment(session)
    row = _row(now, request)
    header, blobs = await asyncio.to_thread(views.row_pass, now.opened(), row)
    cells = {name: _cell(value) for name, value in now.source.frame.row(row, named=True).items()}
    facts = {"kind": "pass", "re": request.get("id"), "version": now.version, "cells": cells}
    return views.pack({**facts, **header}, blobs)


async def _judge(session: Session, request: Request) -> Answer:
    now = await moment(session)
    return {"judgement": views.clean(await asyncio.to_thread(views.judgement, now.opened()))}


async def _diagnose(session: Session, request: Request) -> Answer:
    now = await moment(session)

    def look() -> Answer:
        model = now.opened()
        held = model.parts_.held_out if len(model.parts_.held_out) else model.parts_.known
        names = model.encoder_.feature_names
        labels = [str(label) for label in getattr(model.target_, "labels", ())]
        found = model.estimator_._diagnose(model.X_[held], model.y_[held], names, labels)
        return {"diagnosis": found.to_dict()}

    return await asyncio.to_thread(look)


async def _seen(session: Session, request: Request) -> Answer:
    return {}


def _cell(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)[:60]


def _row(now: Moment, request: Request) -> int:
    row, count = request.get("row", 0), len(now.opened().X_)
    if isinstance(row, bool) or not isinstance(row, int) or not 0 <= row < count:
        raise OptionError(f"There is no row {row!r}: the table has rows 0 to {count - 1}.")
    return row


REQUESTS: Mapping[str, Callable[[Session, Request], Awaitable[Answer | bytes]]] = {
    "settings": _settings,
    "example": _example,
    "restore": _restore,
    "target": _target,
    "view": _view,
    "start": _start,
    "pause": _pause,
    "step": _step,
    "rewind": _rewind,
    "equations": _equations,
    "walk": _walk,
    "pass": _pass,
    "judge": _judge,
    "diagnose": _diagnose,
    "seen": _seen,
}
