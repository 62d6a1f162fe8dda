"""The main job as a newcomer has it: `katib-tune run`, the page, the form, the optimum.

Real weights and real texts; only fewer rows and trials than the defaults.
"""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.axe import violations
from tests.browser.conftest import OpenPage
from tests.browser.steps import send

pytestmark = pytest.mark.browser

ARTEFACTS = Path(__file__).parent.parent / "artifacts"
TRAINING_LIMIT_MS = 240_000


@pytest.fixture
def run(tmp_path: Path) -> Iterator[str]:
    """`katib-tune run` on a free port; the page's address as it was printed."""
    command = [sys.executable, "-m", "bot", "run", "--port", "0", "--state", str(tmp_path / "run")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    address = next(found[0] for line in process.stdout if (found := re.search(r"http\S+", line)))
    yield address
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 0


@pytest.mark.timeout(400)
def test_a_newcomer_fills_the_form_and_reads_the_optimum_in_the_thread(
    run: str, open_page: OpenPage
) -> None:
    page = open_page(url=run)
    send(page, "/katib-tune")
    form = page.get_by_role("dialog")
    expect(form.get_by_role("button", name="Start", exact=True)).to_be_visible()
    _fill(page, "max_trial_count", "many")
    form.get_by_role("button", name="Start", exact=True).click()
    expect(form.get_by_role("alert")).to_contain_text("many")
    _shot(page, "form")

    _fill(page, "max_trial_count", "3")
    _fill(page, "split", "train[:96]")
    _fill(page, "eval_split", "validation[:100]")
    form.get_by_role("button", name="Start", exact=True).click()
    expect(form).to_contain_text("is started")
    form.get_by_role("link").click()

    thread = page.get_by_role("complementary", name="Thread")
    expect(thread).to_contain_text("Started")
    _shot(page, "running-thread")
    expect(thread).to_contain_text("optimal", timeout=TRAINING_LIMIT_MS, ignore_case=True)
    expect(thread).to_contain_text("learning_rate:")
    expect(page.get_by_role("main")).to_contain_text("3 of 3 trials")
    assert violations(page) == []
    _shot(page, "finished-thread")

    send(page, "/katib-best")
    expect(page.locator("article[data-ephemeral]").last).to_contain_text("learning_rate")
    _shot(page, "best")


def _fill(page: Page, field: str, text: str) -> None:
    page.locator(f"[data-block-id={field}]").get_by_role("textbox").fill(text)


def _shot(page: Page, name: str) -> None:
    ARTEFACTS.mkdir(exist_ok=True)
    page.screenshot(path=ARTEFACTS / f"{name}.png")
