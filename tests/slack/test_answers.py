"""The answers to whoever did something to an Experiment."""

from __future__ import annotations

import pytest

from bot.slack import answers, blocks
from bot.status import ExperimentCondition
from tests.experiments import NAME, ended, experiment, failed, trial, wanted
from tests.slack.test_messages import read


def log_of(text: str) -> str:
    """What a log shows, without the words around it."""
    message = answers.logs(experiment([trial(1, 0.5)]), trial(1, 0.5), text)
    (shown,) = (b for b in message.blocks if b["type"] == "rich_text")
    return str(shown["elements"][0]["elements"][0]["text"])


def test_an_extension_says_how_far_it_goes_now_and_that_it_goes_on() -> None:
    after = experiment([trial(0, 0.7)], asked=wanted(max_trial_count=20))
    assert read(answers.extended(after, after)) == (
        f"*{NAME}* runs up to 20 trials now; 1 ended so far."
    )
    assert "had ended; it goes on with up to 20" in read(answers.extended(ended([]), after))


def test_a_lower_number_of_trials_at_a_time_says_that_the_newest_end() -> None:
    asked = wanted(parallel_trial_count=1)
    two = experiment([trial(0), trial(1)], asked=asked)
    assert "up to 1 trial at a time now. More are running: the newest 1 end" in read(
        answers.parallel(two)
    )
    assert read(answers.parallel(experiment(asked=asked))).endswith("at a time now.")


def test_a_pause_says_what_ends_now_and_how_it_goes_on() -> None:
    shown = read(answers.paused(experiment([trial(0), trial(1, 0.5)])))
    assert f"is paused until `/katib-tune resume {NAME}`. 1 trial end" in shown
    assert read(answers.paused(experiment([]))).endswith(f"resume {NAME}`.")
    known = experiment([])
    paused = known.record.model_copy(update={"paused_by": "ada"})
    assert read(answers.resumed(known.model_copy(update={"record": paused}))) == (
        f"▶️ *{NAME}* goes on."
    )
    assert "is not paused" in read(answers.resumed(known))


def test_a_retry_names_the_trial_and_its_hyperparameters() -> None:
    shown = read(answers.retried(experiment([failed(3)]), failed(3)))
    assert shown.startswith(f"🔁 Trial 3 of *{NAME}* is tried again")
    assert "learning_rate" in shown


def test_what_is_followed_already_is_told_apart() -> None:
    found = experiment(condition=ExperimentCondition.RUNNING)
    anew = read(answers.watched(found, None, anew=True))
    known = read(answers.watched(found, "https://team.example/x", anew=False))
    assert "is followed in this channel from now on" in anew
    assert "is followed already. <https://team.example/x|Its thread is here.>" in known


def test_a_log_has_a_heading_and_is_shown_as_it_was_printed() -> None:
    message = answers.logs(experiment([failed(3)]), failed(3), "epoch 1\n  loss=<0.5> & *b*\n")
    assert read(message).startswith(f"Trial 3 of *{NAME}* (Failed, OutOfMemory)")
    assert log_of("epoch 1\n  loss=<0.5> & *b*\n") == "epoch 1\n  loss=<0.5> & *b*"


def test_a_long_log_keeps_its_last_lines_and_says_how_many_were_cut() -> None:
    text = "\n".join(f"step={n} loss=0.5 and so on" for n in range(2000))
    message = answers.logs(experiment([trial(1, 0.5)]), trial(1, 0.5), text)
    lines = log_of(text).splitlines()
    assert lines[-1].startswith("step=1999 ")
    assert answers.MAX_LOG - 100 < len("\n".join(lines)) <= answers.MAX_LOG < blocks.MAX_MESSAGE
    assert f"The last {len(lines)} of 2000 lines" in read(message)


@pytest.mark.parametrize(
    ("printed", "shown"),
    [
        ("10%\r50%\r100%\nend", "100%\nend"),
        ("one\r\ntwo\r\n", "one\ntwo"),
        ("\x1b[31mred\x1b[0m\x07", "red"),
        ("\n\n a\n\nb  \n\n", " a\n\nb"),
        ("x" * 5000, "x" * 999 + "…"),
        ("tab\there", "tab\there"),
    ],
)
def test_a_log_reads_as_a_terminal_would_leave_it(printed: str, shown: str) -> None:
    assert log_of(printed) == shown


@pytest.mark.parametrize("text", ["", "\n", "\x1b[0m\n\n"])
def test_a_trial_that_printed_nothing_is_said_so(text: str) -> None:
    shown = answers.logs(experiment([trial(1)]), trial(1), text)
    assert read(shown).endswith("(Running) has printed nothing.")
