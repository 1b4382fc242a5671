"""How smoothly the studio draws while a network is trained, and what that costs the training.

A 2-32-32-1 network on 2,000 rows is trained as fast as it goes: first without a page, then with one in a
headless Chromium, on the same machine, in turns. Printed are pictures a second and epochs a second.

    python benchmarks/studio.py [--seconds 8] [--rounds 3] [--json FILE]

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
from pathlib import Path

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


def alone(seconds: float) -> float:
    """Epochs a second without a page."""
    session = make()
    session.ask(lambda: session.start("fast")).result()
    time.sleep(1.0)
    rate = counted(session, seconds)
    session.ask(session.pause).result()
    session.close()
    return rate


def counted(session: Session, seconds: float) -> float:
    """Epochs a second of a session that is training."""
    before, began = session.ask(lambda: session.moment().facts["epoch"]).result(), time.perf_counter()
    time.sleep(seconds)
    after = session.ask(lambda: session.moment().facts["epoch"]).result()
    return float((after - before) / (time.perf_counter() - began))


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


def with_page(browser: object, seconds: float) -> tuple[float, float]:
    """Pictures a second and epochs a second with a page."""
    command = [sys.executable, __file__, "--serve"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdin and server.stdout
        address = server.stdout.readline().strip()

        def epochs() -> int:
            server.stdin.write("\n")
            server.stdin.flush()
            return int(server.stdout.readline())

        page = browser.new_page(viewport={"width": 1440, "height": 950})  # type: ignore[attr-defined]
        page.goto(address)
        page.wait_for_selector(".unit")
        page.select_option("#speed", "fast")
        page.click("#start")
        page.wait_for_timeout(1500)
        pictures = "import(location.href + 'state.js').then(({ state }) => state.pictures)"
        first, drawn, began = epochs(), page.evaluate(pictures), time.perf_counter()
        page.wait_for_timeout(1000 * seconds)
        last, shown = epochs(), page.evaluate(pictures)
        spent = time.perf_counter() - began
        page.close()
        server.stdin.close()
    return (shown - drawn) / spent, (last - first) / spent


def measure(seconds: float, rounds: int) -> dict[str, object]:
    """Both figures of each round, and their medians."""
    from playwright.sync_api import sync_playwright

    taken = []
    with sync_playwright() as driver:
        path = shutil.which("chromium")
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        for _ in range(rounds):
            without = alone(seconds)
            drawn, beside = with_page(browser, seconds)
            taken.append({"pictures": drawn, "epochs alone": without, "epochs": beside})
        browser.close()
    return {
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],  # above what the measurement makes by itself, others were at work
        "rows": ROWS,
        "rounds": taken,
        "pictures a second": statistics.median(r["pictures"] for r in taken),
        "share of the speed without a page": statistics.median(
            r["epochs"] / r["epochs alone"] for r in taken
        ),
    }


def main() -> int:
    """Print the figures; the exit code is 1 if one misses its target."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve()
        return 0
    found = measure(options.seconds, options.rounds)
    for number, taken in enumerate(found["rounds"], 1):  # type: ignore[arg-type, var-annotated]
        print(
            f"round {number}: {taken['pictures']:.1f} pictures/s; {taken['epochs']:.0f} epochs/s with the "
            f"page, {taken['epochs alone']:.0f} without"
        )
    for name, target in TARGETS.items():
        print(f"{name}: {found[name]:.2f} (target: at least {target:g})")
    if options.json:
        options.json.write_text(json.dumps(found, indent=2) + "\n")
    return 0 if all(found[name] >= target for name, target in TARGETS.items()) else 1


if __name__ == "__main__":
    sys.exit(main())
