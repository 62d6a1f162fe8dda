"""Block builders keep within Slack's limits and make typed text inert."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bot.slack import blocks as b
from bot.workspace.validate import check_message, check_view

HOSTILE = "<!channel> <@U0ADA> <https://evil.example|click> & `*_~ :tada: @here " * 60


def test_nothing_typed_can_be_a_mention_or_a_link() -> None:
    assert b.escape("<!channel> & <@U1>") == "&lt;!channel&gt; &amp; &lt;@U1&gt;"
    assert b.section("@here #general")["text"]["verbatim"] is True


def test_code_cannot_be_left_by_a_backtick_or_a_new_line() -> None:
    assert b.code("a`*b*\nc") == "`aˋ*b* c`"


@given(st.text(), st.integers(1, 50))
def test_clip_keeps_what_fits_and_marks_what_it_cut(text: str, limit: int) -> None:
    clipped = b.clip(text, limit)
    assert len(clipped) <= limit
    assert clipped == text or clipped.endswith("…")


@given(st.text("a&<>", min_size=1), st.integers(2, 40))
def test_escaped_text_is_never_cut_inside_an_entity(text: str, limit: int) -> None:
    cut = b.mrkdwn(b.escape(text), limit)["text"]
    assert len(cut) <= limit
    rest = cut.removesuffix("…")
    for entity in ("&amp;", "&lt;", "&gt;"):
        rest = rest.replace(entity, "")
    assert set(rest) <= {"a"}


def test_a_date_or_a_link_of_ours_is_dropped_rather_than_cut() -> None:
    assert b.mrkdwn("see <https://x.example/y|there>", 20)["text"] == "see …"


def test_every_builder_makes_a_block_that_slack_takes_whatever_it_holds() -> None:
    sure = b.confirm(HOSTILE, HOSTILE, yes=HOSTILE, no=HOSTILE)
    blocks = [
        b.header(HOSTILE),
        b.section(b.escape(HOSTILE)),
        b.context(*[b.plain(HOSTILE, 300)] * 12),
        b.divider(),
        b.actions([b.button(HOSTILE, b.STOP, HOSTILE * 2, style="danger", confirm=sure)]),
        b.preformatted("a: 1"),
        b.data_table("Top", ["trial", "value"], [[b.cell(1, "1"), b.cell(None, "")]]),
        b.line_chart(HOSTILE, "01", {HOSTILE: [0.5, -0.5]}, x_label=HOSTILE, y_label=HOSTILE),
    ]
    assert check_message({"text": "x", "blocks": blocks}) == ()


def test_numbers_sort_as_numbers_and_nothing_is_shown_as_a_dash() -> None:
    assert b.cell(0.5, "0.5") == {"type": "raw_number", "value": 0.5, "text": "0.5"}
    assert b.cell(None, "") == {"type": "raw_text", "text": "–"}
    assert b.cell(True, "true")["type"] == "raw_text"


def test_every_input_makes_a_view_that_slack_takes() -> None:
    options = {"a": "A", "b" * 75: HOSTILE}
    blocks = [
        b.form_input("one", HOSTILE, b.text_input("one", "x" * 3000, placeholder=HOSTILE)),
        b.form_input("two", "Two", b.select("two", options, "a"), hint=HOSTILE, dispatch=True),
        b.form_input("three", "Three", b.checkboxes("three", options, ["a", "not there"])),
    ]
    view = b.modal(HOSTILE, blocks, callback_id=b.FORM, submit="Start", metadata="{}")
    assert check_view(view) == ()


def test_what_is_chosen_before_is_chosen_in_the_view() -> None:
    assert b.select("m", {"lora": "LoRA"}, "lora")["initial_option"]["value"] == "lora"
    assert "initial_option" not in b.select("m", {"lora": "LoRA"}, "other")
    assert "initial_options" not in b.checkboxes("m", {"lora": "LoRA"}, [])
