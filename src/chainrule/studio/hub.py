"""All sessions of a server: who has which, and when one is given up."""

from __future__ import annotations

from collections.abc import Callable

from chainrule.errors import OptionError
from chainrule.studio.session import Session

MOST = 8  # sessions at once; the oldest that nobody looks at makes room
GRACE = 30.0  # seconds that training goes on without a page


class Hub:
    """The sessions.

    Parameters
    ----------
    make : callable
        Makes a session for a new tab.
    """

    def __init__(self, make: Callable[[], Session]) -> None:
        self._make = make
        self._sessions: dict[str, Session] = {}
        self._leaves: dict[str, int] = {}

    def find(self, name: str) -> Session | None:
        """The session of that name."""
        return self._sessions.get(name)

    def open(self, name: str) -> Session:
        """The session of that name, or else a new one.

        Raises
        ------
        OptionError
            If there are too many.
        """
        found = self.find(name)
        if found is not None:
            return found
        if len(self._sessions) >= MOST:
            self._make_room()
        session = self._make()
        self._sessions[session.name] = session
        return session

    def leave(self, session: Session) -> Callable[[], None]:
        """Note that a tab has left; what is returned, called later, pauses a session nobody came back to."""
        left = self._leaves[session.name] = self._leaves.get(session.name, 0) + 1

        def pause() -> None:
            if not session.listeners and self._leaves[session.name] == left:
                session.ask(session.pause)

        return pause

    def close(self) -> None:
        """End all sessions."""
        for session in self._sessions.values():
            session.close()
        self._sessions.clear()

    def _make_room(self) -> None:
        for name, session in self._sessions.items():
            if not session.listeners:
                session.close()
                del self._sessions[name]
                return
        raise OptionError(f"The studio is open in {MOST} tabs already: close one of them.")
