"""What people read in Slack, and that Slack takes all of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, get_args

import pytest

from bot import prior, spec, wording
from bot.engines.base import Capability
from bot.errors import EngineError, SpecError
from bot.notifications import Ended, NewBest, Notification, Started, failures, waits
from bot.slack import answers, blocks, command, messages
from bot.slack.messages import Message
from bot.status import (
    Experiment,
    ExperimentCondition,
    Observation,
    TrialCondition,
    TrialStatus,
    Trouble,
)
from bot.workspace.validate import check_message, text_length
from tests.experiments import NAME, at, ended, experiment, failed, trial, trouble, wanted

ALL = frozenset(get_args(Capability))
NOW = at(155)
TRIALS = (
    trial(0, 0.712, known_good=True),
    trial(1, 0.70),
    trial(2, 0.7825),
    failed(3, message="CUDA out of memory: 2 GB wanted."),
    trial(4, progress=0.42),
    trial(5),
)
NASTY = "<!channel> <@U0ADA> <https://evil.example|click> & *bold* `code` 🎉 "


def read(message: Message) -> str:
    """Everything that a message shows, as one text."""
    texts: list[str] = []

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            texts.extend(v for k, v in value.items() if k == "text" and isinstance(v, str))
            for item in value.values():
                walk(item)
        elif isinstance(value, list):
            for item in value:
                walk(item)

    walk(list(message.blocks))
    return "\n".join(texts)


def buttons(message: Message) -> list[str]:
    rows = [block["elements"] for block in message.blocks if block["type"] == "actions"]
    return [button["action_id"] for row in rows for button in row]


def block_of(message: Message, kind: str) -> dict[str, Any]:
    return next(block for block in message.blocks if block["type"] == kind)


def end_of(trials: Any, *reason: Any, **facts: Any) -> str:
    return read(messages.reply(Ended(), ended(trials, *reason, **facts)))


# The card


def test_the_card_says_state_progress_best_gain_time_and_who() -> None:
    shown = read(messages.card(experiment(TRIALS), NOW, ALL))
    for part in (
        f"🔵 Running · {NAME}",
        "`default` (MiniLM) on `default` (movie reviews) · LoRA · multivariate-tpe",
        "maximize `eval_accuracy`",
        "4 of 10 trials · 2 running · 1 failed",
        "*Best so far: 0.7825* (trial 2)",
        "`learning_rate` 9.3e-04 · `r` 16",
        "7.1 ± 3.1 points better than the known-good default (trial 0: 0.712).",
        "trial 4 40 % · trial 5",
        "2 min so far",
        "to go",
        "started by Ada Lovelace",
    ):
        assert part in shown


def test_the_card_of_what_is_paused_says_so_and_no_time_to_go() -> None:
    known = experiment(TRIALS)
    record = known.record.model_copy(update={"paused_by": "ada"})
    shown = read(messages.card(known.model_copy(update={"record": record}), NOW, ALL))
    assert f"⏸️ Paused · {NAME}" in shown
    assert "to go" not in shown
    over = ended(TRIALS[:3])
    assert not over.model_copy(update={"record": record}).is_paused


def test_the_card_shows_the_known_good_default_as_such_while_it_leads() -> None:
    shown = read(messages.card(experiment([TRIALS[0], trial(1, 0.70)]), NOW, ALL))
    assert "*Best so far: 0.712* (known-good default, trial 0)" in shown
    assert "brought nothing" not in shown


def test_the_chart_comes_with_the_second_value_and_has_at_most_twenty_points() -> None:
    def kinds(found: Experiment) -> list[str]:
        return [block["type"] for block in messages.card(found, NOW, ALL).blocks]

    assert "data_visualization" not in kinds(experiment([trial(0, 0.7), trial(1)]))
    many = experiment([trial(n, n / 60) for n in range(60)], asked=wanted(max_trial_count=60))
    chart = block_of(messages.card(many, NOW, ALL), "data_visualization")["chart"]
    points = chart["series"][0]["data"]
    assert len(points) == 20 == len(chart["axis_config"]["categories"])
    assert (points[0]["label"], points[-1]["label"]) == ("0", "59")


def test_stop_is_offered_while_it_runs_and_the_engine_can() -> None:
    running, over = experiment(TRIALS), ended(TRIALS)
    assert buttons(messages.card(running, NOW, ALL)) == [blocks.STOP, blocks.SHOW_TRIALS]
    assert buttons(messages.card(running, NOW, frozenset())) == [blocks.SHOW_TRIALS]
    assert buttons(messages.card(over, NOW, ALL)) == [blocks.SHOW_TRIALS]
    stop = block_of(messages.card(running, NOW, ALL), "actions")["elements"][0]
    assert stop["value"] == NAME and stop["style"] == "danger" and "confirm" in stop


def test_before_it_runs_the_card_says_what_it_waits_for() -> None:
    waiting = experiment(condition=ExperimentCondition.CREATED, message="Fetching the model …")
    shown = messages.card(waiting, at(20), ALL)
    assert "⚪ Created" in read(shown) and "Fetching the model …" in read(shown)
    assert buttons(shown) == [blocks.STOP]


def test_the_card_and_the_status_say_what_is_waited_for_and_by_how_many_trials() -> None:
    waiting = [trouble("Unschedulable", n) for n in (4, 5)]
    waiting += [trouble("QuotaExceeded", 5, message="The quota is used up.")]
    found = experiment(TRIALS, troubles=waiting)
    for shown in (read(messages.card(found, NOW, ALL)), read(messages.status(found, NOW))):
        assert (
            "⏳ *Trial 4 and 1 more wait: Unschedulable.* No node has enough `nvidia.com/gpu` free."
        ) in shown
        assert "⏳ *Trial 5 waits: QuotaExceeded.* The quota is used up." in shown
    assert "⏳" not in read(messages.card(experiment(TRIALS), NOW, ALL))
    assert "⏳" not in read(messages.card(ended(TRIALS, troubles=waiting), NOW, ALL))


def test_a_wait_of_the_whole_experiment_or_of_a_job_beside_its_trials_says_so() -> None:
    whole = experiment(troubles=[trouble("SearchNotReady", None)])
    assert "*The Experiment waits: SearchNotReady.*" in read(messages.card(whole, NOW, ALL))
    fetch = experiment(troubles=[trouble(trial=f"{NAME}-fetch")])
    assert f"*`{NAME}-fetch` waits: Unschedulable.*" in read(messages.card(fetch, NOW, ALL))


def test_a_card_lists_four_reasons_to_wait_and_counts_the_others() -> None:
    many = experiment(TRIALS, troubles=[trouble(f"Reason{n}") for n in range(7)])
    shown = read(messages.card(many, NOW, ALL))
    assert "Reason3" in shown and "Reason4" not in shown
    assert "and for 3 more reasons" in shown


def test_gpu_hours_are_on_the_card_once_there_are_any() -> None:
    def footer(hours: float | None) -> str:
        return read(messages.card(experiment(TRIALS, gpu_hours=hours), NOW, ALL))

    assert "GPU-hours" not in footer(None) and "GPU-hours" not in footer(0.01)
    assert "· 1.3 GPU-hours ·" in footer(1.31)
    assert "· 12 GPU-hours ·" in footer(12.4)
    over = read(messages.card(ended(TRIALS, gpu_hours=12.4), NOW, ALL))
    assert "Took 2 min 10 s · 12.4 GPU-hours · started by" in over


def test_training_loss_is_labelled_as_what_it_is() -> None:
    asked = wanted(objective_metric_name="train_loss")
    label = "training loss: it says nothing about unseen data"
    assert label in read(messages.card(experiment(asked=asked), NOW, ALL))
    found = ended([trial(0, 0.1, metric="train_loss")], asked=asked)
    assert label in read(messages.reply(Ended(), found))
    assert label not in read(messages.card(experiment(), NOW, ALL))


def test_the_card_changes_only_when_something_visible_does() -> None:
    running = experiment(TRIALS)

    def card(seconds: float) -> tuple[Any, ...]:
        return messages.card(running, at(seconds), ALL).blocks

    over = ended(TRIALS)
    assert card(41) == card(44) and card(41) != card(62)
    assert messages.card(over, at(200), ALL) == messages.card(over, at(9000), ALL)
    creeping = [experiment([trial(0, progress=part)]) for part in (0.41, 0.44, 0.46)]
    shown = [messages.card(found, at(40), ALL).blocks for found in creeping]
    assert shown[0] == shown[1] != shown[2]


def test_a_custom_objective_is_shown_without_model_and_data() -> None:
    asked = spec.read(
        {
            "name": "custom",
            "objective_function": "objective",
            "objective_source": "def objective(parameters): return 1.0",
            "objective_metric_name": "result",
            "parameters": {"a": {"min": 10, "max": 20}},
        }
    )
    shown = read(messages.card(experiment(asked=asked), NOW, ALL))
    assert "`objective` · multivariate-tpe" in shown and " on " not in shown


@pytest.mark.parametrize(
    ("condition", "reason", "words"),
    [
        (ExperimentCondition.SUCCEEDED, "ExperimentGoalReached", "🟢 Succeeded"),
        (ExperimentCondition.FAILED, "ExperimentFailed", "🔴 Failed"),
        (ExperimentCondition.KILLED, "StoppedByUser", "🟠 Killed"),
        (ExperimentCondition.FAILED, "Deleted", "⚫ Deleted"),
    ],
)
def test_each_end_has_its_colour_and_word(
    condition: ExperimentCondition, reason: str, words: str
) -> None:
    assert words in read(messages.card(ended([], condition, reason), NOW, ALL))


# The replies


def test_the_start_says_how_much_and_what_is_searched() -> None:
    shown = read(messages.reply(Started(), experiment(TRIALS)))
    assert "up to 10 trials, 2 at a time" in shown
    assert "learning_rate=" in shown and "r=8,16,32" in shown


def test_a_new_best_says_value_trial_parameters_and_the_one_before() -> None:
    news = NewBest(trial=TRIALS[2], previous_value=0.712)
    shown = read(messages.reply(news, experiment(TRIALS)))
    assert "eval_accuracy *0.7825* in trial 2 (before: 0.712)" in shown
    assert "`learning_rate` 9.3e-04" in shown


def test_a_failure_says_its_cause_the_remedy_and_what_is_left() -> None:
    found = experiment([*TRIALS, failed(6, message="CUDA out of memory: 2 GB wanted.")])
    shown = read(messages.reply(failures(found.status)[0], found))
    assert "Trial 3 and 1 more failed: OutOfMemory" in shown
    assert "CUDA out of memory: 2 GB wanted." in shown
    assert "per_device_train_batch_size" in shown
    assert "1 more failure would end it" in shown


def test_a_failure_that_was_no_fault_of_the_trial_says_to_retry_it() -> None:
    lost = failed(3, "NodeLost", "The node of the trial's pod was lost.")
    found = experiment([*TRIALS[:3], lost])
    shown = read(messages.reply(failures(found.status)[0], found))
    assert "Nothing is wrong with the trial itself: try it again." in shown


def test_a_wait_says_what_waits_why_and_what_to_do() -> None:
    found = experiment(TRIALS, troubles=[trouble("Unschedulable", n) for n in (4, 5)])
    message = messages.reply(waits(found.status)[0], found)
    assert message.text == "⏳ Trial 4 and 1 more wait: Unschedulable"
    assert read(message) == (
        "⏳ *Trial 4 and 1 more wait: Unschedulable*\n"
        "No node has enough `nvidia.com/gpu` free.\n"
        "Wait until others end, or add nodes."
    )


def test_the_end_says_what_it_took_in_gpu_hours() -> None:
    shown = end_of(TRIALS, gpu_hours=12.41)
    assert "all trials are done (4 of 10 trials, 1 failed, 12.4 GPU-hours)." in shown


def test_the_end_gives_the_optimum_to_copy_and_to_train_again() -> None:
    found = ended(TRIALS)
    message = messages.reply(Ended(), found)
    shown = read(message)
    assert "ended after 2 min 10 s: all trials are done (4 of 10 trials, 1 failed)." in shown
    assert "*Optimal hyperparameters: eval_accuracy 0.7825* (trial 2)" in shown
    copied = spec.data_from_yaml(read(Message("", (block_of(message, "rich_text"),))))
    assert copied["training_parameters"]["learning_rate"] == 0.00031 * 3
    assert copied["lora_config"]["target_modules"] == "all-linear"
    assert f"`/katib-best {NAME}`" in shown
    typed = shown.partition("```/katib-tune ")[2].partition("```")[0]
    again = spec.read({**command.parse_tune(typed).data, "name": "again"})
    assert again.training_parameters["learning_rate"] == 0.00031 * 3
    assert again.searched["seed"].list == (42, 43, 44)


def test_the_top_five_are_a_table_with_the_best_first() -> None:
    found = ended([trial(n, 0.7 + n / 100) for n in range(8)])
    table = block_of(messages.reply(Ended(), found), "data_table")
    assert [cell["text"] for cell in table["rows"][0]][:2] == ["trial", "eval_accuracy"]
    assert [row[0]["text"] for row in table["rows"][1:]] == ["7", "6", "5", "4", "3"]
    assert all(row[1]["type"] == "raw_number" for row in table["rows"][1:])


def test_a_search_that_brought_nothing_says_so() -> None:
    assert "The search brought nothing" in end_of([TRIALS[0], trial(1, 0.70)])
    assert "within noise" in end_of([TRIALS[0], trial(1, 0.72)])
    assert "within noise" not in end_of([TRIALS[0], trial(1, 0.85)])


def test_a_loss_speaks_of_lower_and_of_its_part() -> None:
    asked = wanted(objective_metric_name="eval_loss")
    trials = [
        trial(0, 0.5, metric="eval_loss", known_good=True),
        trial(1, 0.4, metric="eval_loss"),
    ]
    assert "0.1 lower (20%) than the known-good default" in end_of(trials, asked=asked)


def test_a_failed_experiment_says_why_and_what_to_do() -> None:
    trials = [failed(0), failed(1), failed(2, "Diverged", "The loss became NaN in step 12.")]
    shown = end_of(trials, ExperimentCondition.FAILED, "ExperimentFailed")
    assert "3 trials failed, and max_failed_trial_count is 3" in shown
    assert "no optimal hyperparameters" in shown
    assert "Trial 0 and 1 more failed: OutOfMemory" in shown
    assert "The loss became NaN in step 12." in shown
    assert "Lower the upper end of learning_rate." in shown


def test_the_engine_s_own_sentence_is_told_when_there_was_no_trial() -> None:
    sentence = "The model `org/none` was not found: check model_uri."
    shown = end_of([], ExperimentCondition.FAILED, "ExperimentFailed", message=sentence)
    assert sentence in shown


def test_stopped_says_by_whom_and_keeps_the_best() -> None:
    shown = end_of(TRIALS, ExperimentCondition.KILLED, "StoppedByUser", stopped_by="grace")
    assert "stopped by grace" in shown and "eval_accuracy 0.7825" in shown


def test_a_deleted_experiment_gets_a_last_line() -> None:
    shown = end_of([], ExperimentCondition.FAILED, "Deleted", completion_time=None)
    assert f"*{NAME}* ended: it was deleted, and not by me" in shown


def test_a_deleted_experiment_is_told_with_the_best_so_far() -> None:
    shown = end_of(TRIALS, ExperimentCondition.KILLED, "Deleted")
    assert "it was deleted, and not by me (4 of 10 trials, 1 failed)." in shown
    assert "*Best so far: eval_accuracy 0.7825* (trial 2)" in shown
    assert f"`/katib-best {NAME}`" in shown


# Tables and answers


def test_show_trials_lists_the_newest_first_with_state_and_duration() -> None:
    table = block_of(messages.trials(experiment(TRIALS), NOW), "data_table")
    rows = [[cell["text"] for cell in row] for row in table["rows"]]
    assert rows[0] == ["trial", "eval_accuracy", "state", "duration", "learning_rate", "r"]
    assert rows[1][:4] == ["5", "–", "🔵 Running", "5 s"]
    assert rows[3][2] == "🔴 Failed (OutOfMemory)"
    assert rows[6][2] == "🟢 Succeeded (known-good default)"


def test_show_trials_says_how_many_rows_it_left_out() -> None:
    many = experiment([trial(n, 0.5) for n in range(150)], asked=wanted(max_trial_count=150))
    message = messages.trials(many, at(9000))
    rows = len(block_of(message, "data_table")["rows"]) - 1
    assert f"The newest {rows} of 150 trials." in read(message) and rows <= 100


def test_show_trials_without_a_trial_says_so() -> None:
    assert "No trial has been made yet" in read(messages.trials(experiment(), NOW))


def test_best_of_one_gives_value_trial_who_link_and_yaml_that_runs() -> None:
    found = ended(TRIALS)
    message = messages.best([found], NAME, {NAME: "https://team.slack.example/p1"}, NOW)
    shown = read(message)
    assert "eval_accuracy 0.7825* (trial 2)" in shown and "`Ada Lovelace`" in shown
    assert "<https://team.slack.example/p1|thread>" in shown
    assert "<!date^" in shown and "4 of 10 trials" in shown
    yaml = [b for b in message.blocks if b["type"] == "rich_text"][1]
    again = prior.complete(spec.data_from_yaml(read(Message("", (yaml,)))))
    assert spec.read({**again, "name": "again"}).max_trial_count == 3


def test_best_of_several_ranks_them_by_value() -> None:
    names = {"low": 0.6, "high": 0.9, "none": None}
    found = [
        ended([trial(0, value)] if value else [], asked=wanted(name=name))
        for name, value in names.items()
    ]
    shown = read(messages.best(found, "minilm", {}, NOW))
    assert shown.index("*high*") < shown.index("*low*") < shown.index("*none*")


def test_best_of_nothing_says_what_there_is() -> None:
    shown = read(messages.best([], "llama", {}, NOW, known=[experiment()]))
    assert shown == f"Nothing matches `llama`. There is: `{NAME}`"
    assert "/katib-tune help" in read(messages.best([], "", {}, NOW))


def test_the_list_has_a_line_for_each_and_says_how_to_begin_without_one() -> None:
    shown = read(messages.listing([experiment(TRIALS), ended(TRIALS)], NOW))
    assert "2 Experiments" in shown and "🔵 Running" in shown and "🟢 Succeeded" in shown
    assert "/katib-tune default on default" in read(messages.listing([], NOW))


def test_the_examples_of_help_can_be_typed() -> None:
    examples = [
        line.strip("`").partition("` ")[0]
        for line in read(messages.help_text(ALL)).splitlines()
        if line.startswith("`/katib-tune ") and " on " in line
    ]
    assert len(examples) == 3
    for example in examples:
        asked = command.parse_tune(example.removeprefix("/katib-tune ").rstrip("`"))
        spec.read({**prior.complete(asked.data), "name": "x"})


def test_help_offers_only_what_the_engine_has() -> None:
    for capabilities, offered in ((ALL, True), (frozenset({"stop", "logs"}), False)):
        shown = read(messages.help_text(capabilities))
        assert "/katib-tune stop NAME" in shown and "/katib-tune logs NAME 3" in shown
        for verb in ("extend", "parallel", "retry", "pause", "resume", "watch"):
            assert (f"/katib-tune {verb} " in shown) is offered


def test_the_status_says_first_that_it_may_be_old() -> None:
    shown = messages.status(experiment(TRIALS), NOW, "The engine has not answered for 2 min.")
    assert shown.blocks[0]["text"]["text"] == "⚠️ The engine has not answered for 2 min."
    assert shown.blocks[1:] == messages.status(experiment(TRIALS), NOW).blocks


def test_a_refusal_points_at_the_word_and_gives_the_line_put_right() -> None:
    typed = "default on default learning_rate=1e-3..1e-5"
    with pytest.raises(SpecError) as refused:
        command.parse_tune(typed)
    shown = read(messages.refusal(refused.value, typed))
    assert "^^^" in shown
    assert "/katib-tune default on default learning_rate=1e-5..1e-3" in shown


def test_every_one_of_several_errors_is_told() -> None:
    error = SpecError.of(SpecError(f"Wrong {n}.", field="seed") for n in range(3))
    shown = read(messages.refusal(error, "default on default seed=x"))
    assert all(f"Wrong {n}." in shown for n in range(3))
    assert "default on default seed=x" in shown


def test_a_token_that_was_typed_is_not_repeated() -> None:
    typed = "default on default model_access_token=hf_secret trials=0"
    shown = read(messages.refusal(EngineError("No."), typed))
    assert "hf_secret" not in shown and "trials=0" in shown


def test_started_and_stopping_say_where_and_what() -> None:
    running, over = experiment(TRIALS), ended(TRIALS)
    assert "<https://x.example/p1|" in read(messages.started(running, "https://x.example/p1"))
    assert "is started" in read(messages.started(running, None))
    assert "is being stopped" in read(messages.stopping(running))
    assert "has ended: all trials are done" in read(messages.stopping(over))


# Slack's limits


def hostile() -> Experiment:
    """Everything at its longest and worst."""
    long = NASTY * 60
    space = {f"parameter_{n}_" + "x" * 60: {"min": 0.0, "max": 1.0} for n in range(500)}
    asked = wanted(
        name="a" * 40, model_uri=long, dataset=long, objective_metric_name="m" * 3000,
        training_parameters=space, max_trial_count=300, eval_split=long,
    )  # fmt: skip

    values = {name: NASTY if number else long for number, name in enumerate(space)}

    def nasty(number: int) -> TrialStatus:
        seen = Observation(min=0.1, max=0.1 + number / 1e3, latest=0.1)
        condition = list(TrialCondition)[number % 7]
        return TrialStatus(
            name=f"t{number}", number=number, condition=condition, reason=f"{number}{long}",
            message=long, parameters=values, known_good=number == 2,
            observation={"m" * 3000: seen}, progress=0.5, start_time=at(number),
            completion_time=at(number + 5) if condition.is_final else None,
        )  # fmt: skip

    waiting = [
        Trouble(reason=f"{n}{long}", message=long, hint=long, trial=f"{n}{long}") for n in range(9)
    ]
    return experiment(
        map(nasty, range(300)), asked=asked, message=long, requested_by_name=long, stopped_by=long,
        troubles=waiting, gpu_hours=1e9,
    )  # fmt: skip


def with_condition(found: Experiment, condition: ExperimentCondition, reason: str) -> Experiment:
    status = found.status.model_copy(update={"condition": condition, "reason": reason})
    return found.model_copy(update={"status": status})


def rendered() -> Iterator[tuple[str, Message]]:
    """Every message there is, plain and hostile."""
    worst = hostile()
    many = [worst] * 25
    links = {worst.name: "https://team.slack.example/" + "p" * 300}
    ends = [
        with_condition(worst, ExperimentCondition.SUCCEEDED, "ExperimentGoalReached"),
        with_condition(worst, ExperimentCondition.FAILED, NASTY),
        with_condition(worst, ExperimentCondition.KILLED, "StoppedByUser"),
    ]
    found_by_label = {
        "plain": ended(TRIALS),
        "running": experiment(TRIALS),
        "none": experiment(),
        "worst": worst,
        **{f"worst {found.status.condition}": found for found in ends},
    }
    for label, found in found_by_label.items():
        news: list[Notification] = [Started(), *failures(found.status)[:3], Ended()]
        news += waits(found.status)
        if found.status.optimal_trial:
            news.append(NewBest(trial=found.status.optimal_trial, previous_value=0.1))
        yield f"{label}: card", messages.card(found, at(4000), ALL)
        yield f"{label}: status", messages.status(found, at(4000))
        for notification in news:
            yield f"{label}: {notification.key[:20]}", messages.reply(notification, found)
        yield f"{label}: trials", messages.trials(found, at(4000))
        yield f"{label}: best", messages.best([found], NASTY, links, at(4000))
        yield f"{label}: started", messages.started(found, links[worst.name])
        yield f"{label}: stopping", messages.stopping(found)
        yield f"{label}: status, old", messages.status(found, at(4000), NASTY * 60)
        for anew in (True, False):
            yield f"{label}: watched", answers.watched(found, links[worst.name], anew=anew)
        yield f"{label}: extended", answers.extended(found, found)
        yield f"{label}: parallel", answers.parallel(found)
        for each in found.status.trials[:3]:
            yield f"{label}: retried", answers.retried(found, each)
            yield f"{label}: logs", answers.logs(found, each, f"{NASTY * 60}\n" * 300)
            yield f"{label}: no logs", answers.logs(found, each, "")
    yield "ranking", messages.best(many, NASTY * 60, links, at(4000))
    yield "nothing", messages.best([], NASTY * 60, {}, at(4000), known=many)
    yield "list", messages.listing(many, at(4000))
    yield "help", messages.help_text(ALL)
    error = SpecError.of(SpecError(NASTY * 60, hint=NASTY * 60) for _ in range(50))
    yield "refusal", messages.refusal(error, NASTY * 60)


def test_slack_takes_every_message() -> None:
    for label, message in rendered():
        payload = {"text": message.text, "blocks": list(message.blocks)}
        assert not check_message(payload, text_limit=4000), label
        assert text_length(payload["blocks"]) < blocks.MAX_MESSAGE, label
        json.dumps(payload, allow_nan=False)


def test_nobody_is_called_by_what_somebody_typed() -> None:
    for label, message in rendered():
        for text in (message.text, *mrkdwn(list(message.blocks))):
            for call in ("<!channel", "<@", "<https://evil"):
                assert call not in text, label


def mrkdwn(value: Any) -> Iterator[str]:
    """Every text in which Slack looks for mentions and links."""
    if isinstance(value, dict):
        if value.get("type") == "mrkdwn":
            yield value["text"]
        for item in value.values():
            yield from mrkdwn(item)
    elif isinstance(value, list):
        for item in value:
            yield from mrkdwn(item)


def test_durations_are_rounded_to_what_one_can_see() -> None:
    assert [wording.duration(timedelta(seconds=s)) for s in (45, 130, 3900, 273600)] == [
        "45 s", "2 min 10 s", "1 h 05 min", "3 d 4 h",
    ]  # fmt: skip
    assert [wording.about(timedelta(seconds=s)) for s in (44, 119, 130)] == [
        "40 s", "1 min 50 s", "2 min",
    ]  # fmt: skip


def test_numbers_are_as_short_as_a_person_needs_them() -> None:
    values = (0.00031, 0.7825, 16, 0.0, 123456.0, True, None, "cosine", 1234.56)
    assert [wording.number(value) for value in values] == [
        "3.1e-04", "0.7825", "16", "0", "1.2e+05", "true", "none", "cosine", "1235",
    ]  # fmt: skip


BESIDE = (
    trial(0, 0.712, known_good=True, beside=True),
    trial(1, 0.70),
    trial(2, 0.71, beside=True),
    trial(3),
)


def test_trials_beside_the_count_are_told_beside_it() -> None:
    asked = wanted(max_trial_count=2)
    running = experiment(BESIDE, asked=asked)
    assert "1 of 2 trials + trial 0 + 1 tried again · 1 running" in read(
        messages.card(running, NOW, ALL)
    )
    started = read(messages.reply(Started(), running))
    assert "and beside them the known-good default (trial 0)" in started
    end = read(messages.reply(Ended(), ended(BESIDE[:3], asked=asked)))
    assert "(1 of 2 trials + trial 0 + 1 tried again)" in end
    assert "beside" not in read(messages.reply(Started(), experiment(TRIALS)))


def test_a_failure_beside_the_count_brings_the_end_no_nearer() -> None:
    asked = wanted(max_failed_trial_count=2)
    [news] = failures(experiment([failed(0, beside=True)]).status)
    told = read(messages.reply(news, experiment([failed(0, beside=True)], asked=asked)))
    assert "2 more failures would end it" in told
    over = ended([failed(0, beside=True), failed(1), failed(2)], ExperimentCondition.FAILED,
                 "ExperimentFailed", asked=asked)  # fmt: skip
    assert "2 trials failed, and max_failed_trial_count is 2" in read(messages.reply(Ended(), over))


def test_the_end_says_how_many_trials_it_killed() -> None:
    killed = trial(1, condition=TrialCondition.KILLED)
    assert "2 of 10 trials, 1 killed" in read(
        messages.reply(Ended(), ended([trial(0, 0.7), killed], reason="StoppedByUser"))
    )


def test_an_experiment_of_others_is_followed_for_somebody_and_not_stopped_from_here() -> None:
    theirs = experiment(TRIALS, adopted=True, requested_by_name="ann")
    card = read(messages.card(theirs, NOW, ALL))
    assert "followed for ann" in card
    assert "started by" not in card
    assert messages.STOP not in json.dumps(messages.card(theirs, NOW, ALL).blocks)
    assert "followed for `ann`" in read(messages.listing([theirs], NOW))


def test_whoever_stops_what_has_no_best_is_not_sent_to_it() -> None:
    assert "/katib-best" not in read(messages.stopping(ended([trial(0)])))
