"""How fast the page is with 2,000 messages in a channel: prints a table, judges nothing.

Run it from the repository's root with `python -m tests.bench.workspace_page`.
"""

from __future__ import annotations

import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright
from slack_sdk import WebClient

from bot.workspace.timing import Timing
from tests.browser.conftest import CHROMIUM_FLAGS, LAPTOP
from tests.browser.sample_app import MANIFEST, payload
from tests.harness import RunningWorkspace

CHANNEL = "C0TUNING"
MESSAGES = 2000
OPENINGS = 5
POSTS = 50
LONG_FRAME_MS = 50
BLOCKS = ("section", "card", "data_table", "data_visualization_line_bar", "rich_text")

# Before anything else runs in the page: when the first message was drawn, and when each "ping" was.
WATCH = """
window.drawn = { first: null, pings: {} };
new MutationObserver(() => requestAnimationFrame(() => {
  if (drawn.first === null && document.querySelector('article')) drawn.first = performance.now();
  for (const element of [...document.querySelectorAll('article')].slice(-3)) {
    const ping = element.textContent.match(/ping \\d+!/);
    if (ping) drawn.pings[ping[0]] ??= Date.now();
  }
})).observe(document, { childList: true, subtree: true });
"""

# Scrolls by `step` pixels a frame until `done`; gives the time of every frame in ms.
SCROLL = """async ([step, most]) => {
  const box = document.querySelector('[role=log]');
  const frames = [];
  let before = performance.now(), still = 0;
  while (still < 40 && frames.length < most) {
    const at = box.scrollTop;
    box.scrollTop += step;
    await new Promise(requestAnimationFrame);
    frames.push(performance.now() - before);
    before = performance.now();
    still = box.scrollTop === at ? still + 1 : 0;
  }
  return frames.slice(0, frames.length - still);
}"""


@contextmanager
def workspace(folder: Path) -> Iterator[RunningWorkspace]:
    running = RunningWorkspace(folder, MANIFEST, timing=Timing(has_rate_limits=False))
    yield running
    running.stop()


def fill(running: RunningWorkspace) -> None:
    """People write most of it; every tenth message is the app's, with blocks."""
    slack = WebClient(running.bot_token, base_url=running.api_url)
    people = [running.person(user) for user in ("U0ADA", "U0GRACE")]
    for number in range(MESSAGES):
        if number % 10 == 0:
            slack.chat_postMessage(channel=CHANNEL, **payload(BLOCKS[number // 10 % len(BLOCKS)]))
        else:
            words = f"message {number}: *loss* is falling, see `trial-{number}` :tada: " * 2
            people[number // 4 % 2].message(words)


def opened(browser: Browser, running: RunningWorkspace) -> Page:
    """A page in a browser that has never been here."""
    page = browser.new_context(viewport=LAPTOP).new_page()  # type: ignore[arg-type]
    page.add_init_script(WATCH)
    page.goto(running.page_url)
    page.wait_for_function("() => drawn.first !== null")
    return page


def first_message_ms(browser: Browser, running: RunningWorkspace) -> list[float]:
    """From the start of the navigation to the first message, in as many fresh browsers."""
    times = []
    for _ in range(OPENINGS):
        page = opened(browser, running)
        times.append(page.evaluate("drawn.first"))
        page.context.close()
    return times


def call_to_page_ms(page: Page, running: RunningWorkspace) -> list[float]:
    """From before each chat.postMessage to the frame in which the page shows it."""
    slack = WebClient(running.bot_token, base_url=running.api_url)
    called = {}
    for number in range(POSTS):
        text = f"ping {number}!"
        called[text] = time.time() * 1000
        slack.chat_postMessage(channel=CHANNEL, text=text)
        page.wait_for_function("text => drawn.pings[text]", arg=text)
    drawn = page.evaluate("drawn.pings")
    page.evaluate("drawn.pings = {}")
    return [drawn[text] - at for text, at in called.items()]


def row(name: str, values: list[float], unit: str = "ms") -> None:
    ranked = sorted(values)
    p95 = ranked[min(len(ranked) - 1, int(len(ranked) * 0.95))]
    print(f"{name:<42}{statistics.median(ranked):>9.1f}{p95:>9.1f}{ranked[-1]:>9.1f} {unit}")


def frames(name: str, times: list[float]) -> None:
    long = sum(1 for ms in times if ms > LONG_FRAME_MS)
    row(f"{name} ({len(times)} frames)", times)
    print(f"{'':<4}{long} frames over {LONG_FRAME_MS} ms, {sum(times) / 1000:.1f} s in all")


def measure(browser: Browser, running: RunningWorkspace) -> None:
    row("first message after opening", first_message_ms(browser, running))
    page = opened(browser, running)
    row("call to page, just opened", call_to_page_ms(page, running))
    frames("scrolling up, reading as it goes", page.evaluate(SCROLL, [-400, 20_000]))
    shown: Any = page.locator("article").count()
    frames(f"scrolling down past {shown} messages", page.evaluate(SCROLL, [400, 20_000]))
    frames(f"scrolling up past {shown} messages", page.evaluate(SCROLL, [-400, 20_000]))
    page.locator("[role=log]").evaluate("box => { box.scrollTop = box.scrollHeight }")
    row(f"call to page, {shown} messages shown", call_to_page_ms(page, running))
    page.context.close()


def main() -> None:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    with tempfile.TemporaryDirectory() as folder, workspace(Path(folder) / "state") as running:
        fill(running)
        print(f"{MESSAGES} messages{'':<29}{'median':>9}{'p95':>9}{'most':>9}")
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_FLAGS)
            measure(browser, running)
            browser.close()


if __name__ == "__main__":
    main()
