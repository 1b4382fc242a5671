"""A tab of the studio in a browser, for the tests."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path

import pytest

SIZES = {"wide": (1440, 950), "middle": (1024, 768), "narrow": (390, 844)}


class Visitor:
    """A tab, the session behind it, and all that it has asked the network for."""

    def __init__(self, studio, page):
        self.studio, self.page = studio, page
        self.requests, self.errors = [], []
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("websocket", lambda socket: self.requests.append(socket.url))
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", lambda m: self.errors.append(m.text) if m.type == "error" else None)

    def open(self, fragment=""):
        self.page.goto(self.studio.address + fragment)
        self.page.wait_for_selector(".unit")
        return self

    @property
    def session(self):
        return self.studio.hub.find(self.page.evaluate("sessionStorage.getItem('chainrule-session')"))

    @property
    def theta(self):
        session = self.session
        return session.ask(lambda: session.model.theta.copy()).result()

    @property
    def facts(self):
        session = self.session
        return session.ask(lambda: session.moment().facts).result()

    def know(self, expression):
        """What the page's own state says."""
        found = "import(location.href.split('#')[0] + 'state.js').then(({ state }) => (EXPRESSION))"
        return self.page.evaluate(found.replace("EXPRESSION", expression))

    def wait(self, what, timeout=15):
        """Wait until something is so."""
        for _ in range(timeout * 20):
            if what():
                return
            self.page.wait_for_timeout(50)
        pytest.fail("it did not come about")

    def change(self, selector, value):
        """Type a number, and leave the field."""
        with self.changing():
            self.page.fill(selector, str(value))
            self.page.press(selector, "Enter")

    def click(self, selector):
        """Click something that changes the session."""
        with self.changing():
            self.page.click(selector)

    @contextmanager
    def changing(self):
        """Do something, and wait until session and page have changed."""
        before = self.session.version
        yield
        self.wait(lambda: self.session.version > before)
        self.wait(lambda: self.know("[state.facts.shape, state.frame.version]") == self.seen())

    def seen(self):
        """What the page has seen when it is up to date."""
        return [self.session.shape, self.session.version]

    def value(self, symbol):
        """The number at the end of an equation that is shown."""
        block = self.page.wait_for_selector(f'.equation[data-symbol="{symbol}"]')
        return float(block.get_attribute("data-value"))

    def download(self, selector):
        if not self.page.is_visible(selector):
            self.page.click("#takeaway summary")
        with self.page.expect_download() as download:
            self.page.click(selector)
        return Path(download.value.path()).read_bytes()


@contextmanager
def visiting(studio, browser, **options):
    context = browser.new_context(
        viewport=dict(zip(("width", "height"), SIZES["wide"], strict=True)), accept_downloads=True, **options
    )
    context.set_default_timeout(10_000)
    visitor = Visitor(studio, context.new_page())
    try:
        yield visitor.open()
        assert visitor.errors == []
    finally:
        context.close()
