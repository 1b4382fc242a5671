"""How smoothly the studio draws while a network is trained, and what that costs the training.

A 2-32-32-1 network on 2,000 rows is trained as fast as it goes: with the page in a headless Chromium and
right after it without, in turns, on the same machine. Printed are pictures a second and epochs a second.

    python benchmarks/studio.py [--seconds 4] [--rounds 5] [--json FILE]

It needs the extra `studio`, Playwright and Chromium.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from chainrule.spec import Layer
from chainrule.studio.server import Studio
from chainrule.studio.session import Session
from chainrule.studio.settings import Settings
from chainrule.studio.source import ExampleChoice, example

ROWS = 2000
TARGETS = {"pictures a second": 25.0, "share of the speed without a page": 0.5}


def make() -> Session:
    """The session that is measured."""
    session = Session(example(ExampleChoice("spirals", ROWS)))
    layers = (Layer(32, "tanh"), Layer(32, "tanh"))
    settings = Settings(layers=layers, epochs=10_000_000, held_out=0.0)
    session.ask(lambda: session.change_settings(settings)).result()
    return session


def serve() -> None:
    """A studio for the other process; each line of input asks for the epochs of its only session."""
    import threading

    studio = Studio(make, 0)
    threading.Thread(target=studio.run, daemon=True).start()
    print(studio.address, flush=True)
    for _ in sys.stdin:
        (session,) = studio.hub._sessions.values()
        print(session.ask(lambda s=session: s.moment().facts["epoch"]).result(), flush=True)
    studio.server.should_exit = True


class Watched:
    """A studio in a process of its own, and a tab that is trained in."""

    def __init__(self, server: subprocess.Popen[str], page: Any) -> None:
        assert server.stdin and server.stdout
        self.ask, self.answer, self.page = server.stdin, server.stdout, page
        self.address = self.answer.readline().strip()
        self.show()
        page.select_option("#speed", "fast")
        page.click("#start")
        page.wait_for_timeout(500)

    def show(self) -> None:
        """Look at the network; the tab goes on with its session."""
        self.page.goto(self.address)
        self.page.wait_for_selector(".unit")
        self.page.wait_for_timeout(1000)

    def hide(self) -> None:
        """Leave the page; training goes on for half a minute."""
        self.page.goto("about:blank")
        self.page.wait_for_timeout(300)

    def epochs(self) -> int:
        """Epochs done."""
        self.ask.write("\n")
        self.ask.flush()
        return int(self.answer.readline())

    def pictures(self) -> int:
        """Pictures of the network that the page has drawn since it was opened."""
        return int(self.page.evaluate("import(location.href + 'state.js').then((m) => m.state.pictures)"))

    def rate(self, count: Callable[[], int], seconds: float) -> float:
        """How many are counted in a second."""
        before, began = count(), time.perf_counter()
        self.page.wait_for_timeout(1000 * seconds)
        return (count() - before) / (time.perf_counter() - began)

    def turn(self, seconds: float) -> dict[str, float]:
        """With the page, and right after it without."""
        self.show()
        drawn, begun, began = self.pictures(), self.epochs(), time.perf_counter()
        self.page.wait_for_timeout(1000 * seconds)
        spent = time.perf_counter() - began
        beside, shown = (self.epochs() - begun) / spent, (self.pictures() - drawn) / spent
        self.hide()
        return {"pictures": shown, "epochs": beside, "epochs alone": self.rate(self.epochs, seconds)}


def measure(seconds: float, rounds: int) -> dict[str, Any]:
    """Both figures of each turn, and their medians."""
    from playwright.sync_api import sync_playwright

    command = [sys.executable, __file__, "--serve"]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with sync_playwright() as driver, subprocess.Popen(command, **pipes) as server:
        path = shutil.which("chromium")
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        watched = Watched(server, browser.new_page(viewport={"width": 1440, "height": 950}))
        taken = [watched.turn(seconds) for _ in range(rounds)]
        browser.close()
        watched.ask.close()
    shares = [turn["epochs"] / turn["epochs alone"] for turn in taken]
    return {
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],  # above what the measurement makes by itself, others were at work
        "rows": ROWS,
        "turns": taken,
        "pictures a second": statistics.median(turn["pictures"] for turn in taken),
        "share of the speed without a page": statistics.median(shares),
    }


def main() -> int:
    """Print the figures; the exit code is 1 if one misses its target."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve()
        return 0
    found = measure(options.seconds, options.rounds)
    for number, turn in enumerate(found["turns"], 1):
        print(
            f"turn {number}: {turn['pictures']:.1f} pictures/s; {turn['epochs']:.0f} epochs/s with the page, "
            f"{turn['epochs alone']:.0f} without"
        )
    for name, target in TARGETS.items():
        print(f"{name}: {found[name]:.2f} (target: at least {target:g})")
    if options.json:
        options.json.write_text(json.dumps(found, indent=2) + "\n")
    return 0 if all(found[name] >= target for name, target in TARGETS.items()) else 1


if __name__ == "__main__":
    sys.exit(main())
