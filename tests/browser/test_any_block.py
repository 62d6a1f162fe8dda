"""Whatever the validator accepts the page draws: every block in every way that it can be written,
and texts that nobody would write.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from playwright.sync_api import Page, expect
from slack_sdk import WebClient

from bot.workspace.block_rules import HOME, MESSAGE, MODAL
from bot.workspace.surface_rules import BLOCKS
from bot.workspace.validate import check_message, check_view
from tests.browser.sample_app import SampleApp
from tests.browser.steps import open_form
from tests.workspace.generate import good_objects

pytestmark = pytest.mark.browser
Json = dict[str, Any]
TITLE = {"type": "plain_text", "text": "T"}
# Nobody can put these into a payload: they are made by uploading.
UPLOADED = "slack_file"


def ways(surface: str) -> Iterator[tuple[str, Json]]:
    """Every block that may stand there, in every way."""
    for kind, block in BLOCKS.items():
        if surface in block.surfaces:
            yield from ((kind, b) for b in good_objects(block.rule) if UPLOADED not in str(b))


def drawn(page: Page, complaints: list[str], what: str) -> None:
    """The page has drawn all it was told of, knows everything in it, and complains of nothing."""
    page.wait_for_function("() => new Promise(done => requestAnimationFrame(() => done(true)))")
    assert complaints == [], f"the page broke over {what}"
    assert page.locator(".unknown").all_inner_texts() == [], what


def test_every_block_of_a_message_is_drawn(
    browser_page: Page, slack: WebClient, complaints: list[str]
) -> None:
    by_kind: dict[str, list[Json]] = {}
    for kind, block in ways(MESSAGE):
        # Some are at a limit of their own, but over one of messages.
        if not check_message({"text": kind, "blocks": [block]}):
            by_kind.setdefault(kind, []).append(block)
    assert set(by_kind) == {kind for kind, block in BLOCKS.items() if MESSAGE in block.surfaces}
    for kind, blocks in by_kind.items():
        for block in blocks:
            ts = slack.chat_postMessage(channel="C0TUNING", text=kind, blocks=[block])["ts"]
        expect(browser_page.locator(f"[data-ts='{ts}']")).to_have_count(1)
        drawn(browser_page, complaints, kind)
    posted = sum(map(len, by_kind.values()))
    assert posted > 300
    expect(browser_page.locator("article[data-ts]")).to_have_count(posted)


def views(surface: str, head: Json) -> Iterator[Json]:
    """Views with every block in every way, as many in one as it holds."""
    held: list[Json] = []
    for _, block in ways(surface):
        plain = {name: value for name, value in block.items() if name != "block_id"}
        if check_view({**head, "blocks": [*held, plain]}):
            if held:
                yield {**head, "blocks": held}
            held = [] if check_view({**head, "blocks": [plain]}) else [plain]
        else:
            held.append(plain)
    if held:
        yield {**head, "blocks": held}


def test_every_block_of_a_form_is_drawn(
    browser_page: Page, slack: WebClient, app: SampleApp, complaints: list[str]
) -> None:
    dialog = open_form(browser_page, app, "inputs")
    view_id = str(dialog.locator("form").get_attribute("data-view-id"))
    for number, view in enumerate(views(MODAL, {"type": "modal", "title": TITLE, "submit": TITLE})):
        title = {"type": "plain_text", "text": f"Form {number}"}
        slack.views_update(view_id=view_id, view={**view, "title": title})
        expect(dialog.get_by_role("heading", name=f"Form {number}", exact=True)).to_be_visible()
        drawn(browser_page, complaints, str(view)[:2000])


def test_every_block_of_a_home_is_drawn(
    browser_page: Page, slack: WebClient, app: SampleApp, complaints: list[str]
) -> None:
    browser_page.get_by_role("link", name="Sample").first.click()
    for number, view in enumerate(views(HOME, {"type": "home"})):
        mark = {"type": "header", "text": {"type": "plain_text", "text": f"Home {number}"}}
        blocks = [*view["blocks"][:99], mark]
        slack.views_publish(user_id="U0ADA", view={"type": "home", "blocks": blocks})
        expect(
            browser_page.get_by_role("heading", name=f"Home {number}", exact=True)
        ).to_be_visible()
        drawn(browser_page, complaints, str(view)[:2000])


# mrkdwn, Markdown, mentions, dates and emoji that are cut off, nested or no such thing.
PIECES = st.sampled_from(
    [
        *[
            "*",
            "_",
            "~",
            "`",
            "```",
            "\n",
            "> ",
            "&gt; ",
            "- ",
            "1. ",
            "# ",
            "| a | b |\n",
            "|-|\n",
        ],
        *["<", ">", "&lt;", "&amp;", "<@U0ADA>", "<@U9>", "<#C0TUNING|x>", "<!here>", "<!date^1^{"],
        *[
            "<!date^99999999999999^{date}|x>",
            "<!subteam^S1>",
            "<https://a.b|c>",
            "<javascript:x|y>",
        ],
        *[
            ":smile:",
            ":no_such:",
            ":",
            "![a](b)",
            "[a](javascript:b)",
            "[a]",
            "(b)",
            "\\",
            "\u202e",
        ],
        *["\u0000", "🚀", "日本", "a" * 200, " ", "\t", "<!", "<@", "]("],
    ]
)
TEXTS = st.lists(PIECES, min_size=1, max_size=25).map("".join)


def test_no_text_breaks_the_page(
    browser_page: Page, slack: WebClient, complaints: list[str]
) -> None:
    @settings(
        max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
    )
    @given(TEXTS.filter(str.strip))
    def any_text(text: str) -> None:
        blocks = [
            {"type": "section", "text": {"type": "mrkdwn", "text": text}},
            {"type": "markdown", "text": text},
        ]
        ts = slack.chat_postMessage(channel="C0TUNING", text=text, blocks=blocks)["ts"]
        expect(browser_page.locator(f"[data-ts='{ts}']")).to_have_count(1)
        drawn(browser_page, complaints, repr(text))

    any_text()
    assert browser_page.locator("a[href^='javascript']").count() == 0
