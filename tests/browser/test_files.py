"""Files on the page: sent by people, sent by apps, shown once they are ready."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from slack_sdk import WebClient

from bot.workspace.timing import Clock, Timing
from tests.browser.sample_app import MANIFEST, SampleApp, payload
from tests.browser.steps import CHANNEL, article, open_form, post
from tests.harness import RunningWorkspace

pytestmark = pytest.mark.browser

PNG = base64.b64decode(payload("image")["blocks"][0]["image_url"].partition(",")[2])
LONG_S = 1000.0
PICTURE = {"name": "loss.png", "mimeType": "image/png", "buffer": PNG}
TABLE = {"name": "trials.csv", "mimeType": "text/csv", "buffer": b"trial,loss\n1,0.5\n"}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def workspace(tmp_path: Path, clock: Clock) -> Iterator[RunningWorkspace]:
    """One in which a file becomes ready only when the clock is moved."""
    timing = Timing(clock=clock, file_ready_s=LONG_S, has_rate_limits=False)
    running = RunningWorkspace(tmp_path / "workspace", MANIFEST, timing=timing)
    yield running
    running.stop()


def attach(page: Page, *files: dict[str, object]) -> None:
    page.get_by_label("Files to attach").set_input_files(list(files))  # type: ignore[arg-type]


def test_a_person_shares_a_picture_with_words(browser_page: Page, clock: Clock) -> None:
    attach(browser_page, PICTURE)
    expect(browser_page.locator(".attached")).to_contain_text("loss.png")
    browser_page.fill("#composer", "the loss of trial 7")
    browser_page.press("#composer", "Enter")
    message = article(browser_page, "the loss of trial 7")
    expect(message).to_contain_text("Processing…")
    expect(browser_page.locator(".attached")).to_have_count(0)
    clock.advance(LONG_S)
    picture = message.get_by_role("img", name="loss.png")
    expect(picture).to_be_visible()
    assert picture.evaluate("img => img.decode().then(() => img.naturalWidth)") == 240


def test_another_file_is_a_card_that_can_be_downloaded(browser_page: Page, clock: Clock) -> None:
    attach(browser_page, TABLE)
    browser_page.press("#composer", "Enter")
    card = browser_page.locator("article .file")
    expect(card).to_contain_text("Processing…")
    clock.advance(LONG_S)
    expect(card).to_contain_text("CSV · 17 B")
    with browser_page.expect_download() as downloading:
        card.get_by_role("link", name="Download trials.csv").click()
    assert downloading.value.path().read_bytes() == TABLE["buffer"]


def test_a_file_that_was_attached_by_mistake_is_taken_off(browser_page: Page) -> None:
    attach(browser_page, PICTURE, TABLE)
    browser_page.get_by_role("button", name="Remove loss.png").click()
    browser_page.press("#composer", "Enter")
    expect(browser_page.locator("article")).to_have_count(1)
    expect(browser_page.locator("article")).to_contain_text("trials.csv")


def test_the_menu_of_the_composer_opens_the_files_of_the_computer(browser_page: Page) -> None:
    browser_page.get_by_role("button", name="Attach a file, or run a shortcut").click()
    with browser_page.expect_file_chooser() as choosing:
        browser_page.get_by_role("menuitem", name="Upload from your computer").click()
    choosing.value.set_files([TABLE])  # type: ignore[list-item]
    expect(browser_page.locator(".attached")).to_contain_text("trials.csv")
    expect(browser_page.locator("#composer")).to_be_focused()


def test_a_file_of_the_app_stands_in_its_thread(
    browser_page: Page, slack: WebClient, clock: Clock
) -> None:
    root = post(slack, text="plots")
    slack.files_upload_v2(
        channel=CHANNEL, thread_ts=root, filename="loss.png", title="Loss", content=PNG
    )
    browser_page.get_by_role("button", name="1 reply").click()
    thread = browser_page.get_by_role("complementary", name="Thread")
    expect(thread.get_by_text("Processing…")).to_be_visible()
    clock.advance(LONG_S)
    expect(thread.get_by_role("img", name="Loss")).to_be_visible()


def test_an_image_block_shows_an_uploaded_picture(
    browser_page: Page, slack: WebClient, clock: Clock
) -> None:
    file = slack.files_upload_v2(filename="loss.png", title="Loss", content=PNG)["file"]
    clock.advance(LONG_S)
    by_id = {"type": "image", "slack_file": {"id": file["id"]}, "alt_text": "by id"}
    url = slack.files_info(file=file["id"])["file"]["url_private"]
    by_url = {"type": "image", "slack_file": {"url": url}, "alt_text": "by url"}
    post(slack, text="two pictures", blocks=[by_id, by_url])
    for name in ("by id", "by url"):
        picture = browser_page.get_by_role("img", name=name)
        expect(picture).to_be_visible()
        assert picture.evaluate("img => img.decode().then(() => img.naturalWidth)") == 240


def test_a_form_takes_files_of_its_types_and_rich_text_and_sends_them(
    browser_page: Page, app: SampleApp
) -> None:
    dialog = open_form(browser_page, app, "inputs")
    plots = dialog.get_by_label("Plots (optional)")
    plots.set_input_files([{"name": "notes.txt", "mimeType": "text/plain", "buffer": b"x"}])
    expect(dialog.get_by_role("alert")).to_have_text(
        "notes.txt is not accepted. Accepted: png, csv."
    )
    plots.set_input_files([PICTURE, TABLE])  # type: ignore[list-item]
    expect(dialog.locator(".picked b")).to_have_text(["loss.png", "trials.csv"])
    dialog.get_by_role("button", name="Remove loss.png").click()
    dialog.get_by_label("Link").fill("https://example.org/")
    dialog.get_by_role("combobox", name="Model").fill("qwen")
    dialog.get_by_role("option", name="qwen3-0.6b").click()
    app.next("options")
    story = dialog.get_by_label("Story (optional)")
    expect(story).to_have_value("It began well")
    story.fill("It began well\nand ended better")
    dialog.get_by_role("button", name="Send").click()
    values = app.next("inputs")["state"]["values"]
    assert [file["name"] for file in values["plots"]["v"]["files"]] == ["trials.csv"]
    (section,) = values["story"]["v"]["rich_text_value"]["elements"]
    assert section["elements"] == [{"type": "text", "text": "It began well\nand ended better"}]
