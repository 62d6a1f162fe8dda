"""Every block drawn from its payload, and mrkdwn."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from slack_sdk import WebClient

from bot.workspace.block_rules import INPUTS
from bot.workspace.element_rules import ELEMENTS
from bot.workspace.surface_rules import BLOCKS
from tests.browser.sample_app import PAYLOADS, VIEWS, SampleApp, payload
from tests.browser.steps import open_form, post

pytestmark = pytest.mark.browser


# payload -> [(selector inside the message, text it has)]
DRAWN: dict[str, list[tuple[str, str]]] = {
    "text": [("pre code", "learning_rate: 0.00021\nr: 16\nlora_alpha: 32"),
             ("blockquote", "held-out"), ("a[href='https://example.org/x_y_z']", "https://example.org/x_y_z"),
             (".text-body", ":unknown_one:"), ("a[href='mailto:ada@example.org']", "mail"),
             (".mention", "@here")],
    "header": [("[data-type=header] h2", "Experiment minilm-reviews-7f2")],
    "section": [(".mention.me", "@Ada Lovelace"), ("a.mention[href='/#C0TUNING']", "#tuning"),
                ("a[href='https://example.org/run?a=1&b=2']", "link"), ("s", "old"),
                ("[data-block-id=s1]", "a<b & 2*3*4 stays"), (".fields", "+4.2 points"),
                ("select[data-action-id=compare]", "tpe-2"), ("blockquote", "a quote")],
    "actions": [("button.danger", "Stop"), ("button.primary", "Resume"),
                ("a.btn[href='https://example.org/']", "Open")],
    "context": [(".context", "Updated by @Sample • trial 4 of 10")],
    "divider": [("[data-type=divider] hr", "")],
    "image": [("figcaption", "Accuracy by learning rate")],
    "input": [("label", "A note for the record"), (".hint", "Enter sends it")],
    "rich_text": [("ol li:nth-child(2)", "try rank 32"), ("ul code", "seed=2"),
                  ("blockquote i", "The best trial"), (".mention", "@Grace Hopper"),
                  ("pre", "feasibleSpace")],
    "markdown": [(".heading", "Report"), ("ol li ul li", "with another seed"), ("td", "0.8125"),
                 ("blockquote", "measured on held-out texts"), ("pre", "learning_rate: 2.1e-4")],
    "table": [("thead th", "learning_rate"), ("tbody td b", "Succeeded")],
    "data_table": [("caption", "Trials of minilm-reviews-7f2"),
                   ("tbody th[scope=row]", "minilm-7")],
    "data_visualization_line_bar": [("figcaption", "Best so far by trial"),
                                    (".legend", "each trial"), ("svg .axes", "eval_accuracy")],
    "data_visualization_area_pie": [("figcaption", "How trials ended"),
                                    (".legend", "EarlyStopped (2)")],
    "attachments": [(".attachment pre", "loss is nan"), (".attachment .fields", "one"),
                    (".attachment a", "A classic attachment")],
    "card": [(".card-title b", "MiniLM on reviews"), ("button.primary", "Reuse")],
    "carousel": [(".carousel li:nth-child(2) .card-title", "DistilBERT on tickets"),
                 (".carousel li:nth-child(1) img.hero", ""),
                 ("[data-block-id=c1] button", "Reuse")],
    "container": [("details[open] summary", "Search space"),
                  ("[data-block-id=lr] label", "Learning rate"),
                  ("details:not([open]) summary code", "minilm-7"), (".divided td", "0.8125")],
    "context_actions": [("[data-type=feedback_buttons] button[aria-pressed=false]", ""),
                        ("[data-type=icon_button] [data-icon=trash]", "")],
    "video": [("a[href='https://example.org/watch/1']", "Tuning in two minutes"),
              ("a.poster[href='https://example.org/embed/1'] img", ""),
              (".video-by", "Ada · Example Tube"),
              (".poster-alt", "The same from outside")],
    "file": [(".file", "report-42")],
    "elements": [("input[type=datetime-local]", ""), ("select[data-action-id=where]", "#tuning"),
                 ("[data-action-id=who] .chip", "Grace Hopper"),
                 ("input[role=combobox][data-action-id=model]", ""),
                 (".combobox .chip", "reviews"), ("[data-action-id=opts] small", "A second seed")],
    "task_card": [(".task.complete", "2,000 rows"), (".task a", "The data set")],
    "plan": [(".plan .card-title", "Tuning MiniLM"), (".task", "Run 10 trials, in progress"),
             (".task.error .rich", "Out of memory")],
}  # fmt: skip


def test_every_payload_is_drawn_by_a_test() -> None:
    assert {path.stem for path in PAYLOADS.glob("*.json")} == {*DRAWN, *VIEWS.values()}


def types_in(value: Any) -> set[str]:
    """Every `type` in a payload."""
    if isinstance(value, list):
        return set().union(*map(types_in, value))
    if not isinstance(value, dict):
        return set()
    return types_in(list(value.values())) | (
        {value.get("type")} & {*BLOCKS, *ELEMENTS, *INPUTS.kinds}
    )


def test_everything_that_the_validator_accepts_is_in_a_payload() -> None:
    drawn = [payload(path.stem) for path in PAYLOADS.glob("*.json")]
    assert types_in(drawn) == {*BLOCKS, *ELEMENTS, *INPUTS.kinds}


def test_every_kind_of_input_is_drawn_in_a_form(browser_page: Page, app: SampleApp) -> None:
    dialog = open_form(browser_page, app, "inputs")
    labels = ("Link", "Mail (optional)", "Deadline", "Model", "Data sets (optional)")
    for label in (*labels, "Plots (optional)", "Story (optional)"):
        expect(dialog.get_by_label(label, exact=True)).to_be_visible()
    expect(dialog.locator(".unknown")).to_have_count(0)


@pytest.mark.parametrize("name", DRAWN)
def test_a_message_is_drawn_as_its_payload_says(
    browser_page: Page, slack: WebClient, name: str
) -> None:
    ts = post(slack, **payload(name))
    message = browser_page.locator(f"article[data-ts='{ts}']")
    for selector, text in DRAWN[name]:
        expect(message.locator(selector).filter(has_text=text).first).to_be_visible()
    expect(message.locator(".unknown")).to_have_count(0)


DRAW = """async blocks => {
  const { html, render } = await import('/static/ui.js');
  const { Blocks } = await import('/static/blocks.js');
  const directory = { me: 'U0ADA', people: [], person: () => null, channel: () => null };
  const box = document.body.appendChild(document.createElement('section'));
  box.id = 'drawn';
  const ctx = { prefix: 'x', heading: 'h2', directory };
  render(html`<${Blocks} blocks=${blocks} ctx=${ctx} />`, box);
}"""


def test_an_unknown_or_broken_block_is_a_visible_note(browser_page: Page) -> None:
    blocks = [{"type": "hologram"}, {"type": "section", "text": None, "fields": 7},
              {"type": "actions", "elements": [{"type": "lever", "action_id": "x"}]},
              {"type": "divider"}]  # fmt: skip
    browser_page.evaluate(DRAW, blocks)
    notes = browser_page.locator("#drawn .unknown")
    expect(notes).to_have_count(3)
    expect(notes.nth(0)).to_contain_text("hologram")
    expect(notes.nth(1)).to_contain_text("section")
    expect(notes.nth(2)).to_contain_text("lever")
    expect(browser_page.locator("#drawn hr")).to_be_attached()


def test_a_data_table_sorts_by_number_and_turns_pages(browser_page: Page, slack: WebClient) -> None:
    post(slack, **payload("data_table"))
    first = browser_page.locator("tbody th")
    expect(first).to_have_count(5)
    browser_page.get_by_role("button", name="learning_rate").click()
    expect(first.first).to_have_text("minilm-4")
    browser_page.get_by_role("button", name="learning_rate").click()
    expect(first.first).to_have_text("minilm-8")
    header = browser_page.locator("th", has_text="learning_rate")
    expect(header).to_have_attribute("aria-sort", "descending")
    browser_page.get_by_role("button", name="Next page").click()
    expect(first).to_have_text(["minilm-1", "minilm-4"])
    expect(browser_page.locator(".pager")).to_contain_text("6–7 of 7")


def test_a_chart_has_its_points_and_says_in_words_what_it_shows(
    browser_page: Page, slack: WebClient
) -> None:
    post(slack, **payload("data_visualization_line_bar"))
    line = browser_page.get_by_role("img", name="Line chart: Best so far by trial")
    expect(line.locator("circle")).to_have_count(24)
    expect(line).to_have_attribute("aria-label", re.compile("from 0.61 to 0.82, lowest 0.61"))
    bar = browser_page.get_by_role("img", name="Bar chart: Importance of each parameter")
    heights = [float(rect.get_attribute("height") or 0) for rect in bar.locator("rect").all()]
    assert heights == sorted(heights, reverse=True)
    assert heights[0] / heights[1] == pytest.approx(0.71 / 0.18)


def test_code_is_copied_by_its_button(browser_page: Page, slack: WebClient) -> None:
    post(slack, **payload("text"))
    browser_page.get_by_role("button", name="Copy", exact=True).click()
    expect(browser_page.get_by_role("button", name="Copied")).to_be_visible()
    copied = browser_page.evaluate("navigator.clipboard.readText()")
    assert copied == "learning_rate: 0.00021\nr: 16\nlora_alpha: 32"


MRKDWN = {
    "*b* _i_ ~s~ `c`": "<b>b</b> <i>i</i> <s>s</s> <code>c</code>",
    "a*b*c 2*3 * 4 * snake_case_name": "a*b*c 2*3 * 4 * snake_case_name",
    "*bold _both_*": "<b>bold <i>both</i></b>",
    "`*not bold*` &lt;b&gt; &amp;amp;": "<code>*not bold*</code> &lt;b&gt; &amp;amp;",
    "*a\nb*": "*a<br>b*",
    "&gt; q\nrest": "<blockquote>q</blockquote>rest",
    "&gt;&gt;&gt; one\ntwo": "<blockquote>one<br>two</blockquote>",
    "``` unclosed": "``` unclosed",
    "<javascript:alert(1)|x>": "&lt;javascript:alert(1)|x&gt;",
    "<@U9|ada> <!channel>": (
        '<span class="mention">@ada</span> <span class="mention me">@channel</span>'
    ),
    ":no_such_emoji: 10:30:45": ":no_such_emoji: 10:30:45",
    "<!date^nonsense^{date}|then>": "then",
}

MARK_UP = """async text => {
  const { html, render } = await import('/static/ui.js');
  const { mrkdwn } = await import('/static/mrkdwn.js');
  const box = document.createElement('div');
  render(html`<${() => mrkdwn(text, { me: '', person: () => null, channel: () => null })} />`, box);
  return box.innerHTML;
}"""


def test_mrkdwn_is_read_as_slack_reads_it(browser_page: Page) -> None:
    assert {text: browser_page.evaluate(MARK_UP, text) for text in MRKDWN} == MRKDWN
