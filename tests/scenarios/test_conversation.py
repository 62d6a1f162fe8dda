"""What people see: commands, the form, the thread, the answers."""

from __future__ import annotations

from bot.engines.local import LocalEngine
from bot.workspace.person import filled
from tests.scenarios.conftest import Bot, shown


def test_a_typed_line_starts_an_experiment_and_its_thread_ends_with_the_optimum(bot: Bot) -> None:
    answer = bot.ephemeral(bot.line("quick", "trials=4"))
    assert "quick" in shown(answer)
    assert "/archives/C0TUNING/p" in shown(answer)
    keys = bot.wait_for("quick", "ended")
    assert keys[0] == "started"
    assert keys[-1] == "ended"
    assert len(keys) <= 6, "few replies, never one per trial"
    end = shown(bot.thread("quick")[-1])
    assert "a:" in end
    bot.workspace.wait_for(lambda: "Succeeded" in bot.wait_for_card("quick")["text"])


def test_katib_best_finds_it_again_with_a_link_and_yaml_to_reuse(bot: Bot) -> None:
    bot.ephemeral(bot.line("quick", "trials=3"))
    bot.wait_for("quick", "ended")
    answer = shown(bot.ephemeral("/katib-best quick"))
    assert "/archives/C0TUNING/p" in answer
    assert "objective_source:" in answer
    assert "ada" in answer or "U0ADA" in answer
    assert "quick" in shown(bot.ephemeral("/katib-best"))
    nothing = shown(bot.ephemeral("/katib-best llama"))
    assert "llama" in nothing
    assert "quick" in nothing, "no match says what there is"


def test_a_wrong_line_is_answered_with_the_word_and_the_corrected_line(bot: Bot) -> None:
    answer = shown(bot.ephemeral("/katib-tune default on default trials=ten"))
    assert "ten" in answer
    assert "whole number" in answer
    answer = shown(bot.ephemeral("/katib-tune default on default learning_rate=1e-3..1e-5:log"))
    assert "learning_rate=1e-5..1e-3:log" in answer


def test_what_the_engine_cannot_do_is_said_at_once_per_field(bot: Bot) -> None:
    answer = shown(bot.ephemeral("/katib-tune default on default workers=2 algorithm=cmaes"))
    assert "num_workers" in answer
    assert "cmaes" in answer
    assert bot.workspace.messages()[-1].get("is_ephemeral"), "no card for what never ran"


def test_a_name_that_is_taken_is_refused_and_the_first_goes_on(bot: Bot) -> None:
    bot.ephemeral(bot.line("twice", "trials=2"))
    assert "twice" in shown(bot.ephemeral(bot.line("twice", "trials=2")))
    bot.wait_for("twice", "ended")
    assert bot.card("twice")  # asserts that there is one card


def test_help_list_and_status_answer_only_whoever_asked(bot: Bot) -> None:
    assert "/katib-tune" in shown(bot.ephemeral("/katib-tune help"))
    bot.ephemeral(bot.line("quick", "trials=2"))
    bot.wait_for("quick", "ended")
    assert "quick" in shown(bot.ephemeral("/katib-tune list"))
    assert "quick" in shown(bot.ephemeral("/katib-tune status quick"))
    unknown = shown(bot.ephemeral("/katib-tune status nobody"))
    assert "nobody" in unknown


def test_where_the_bot_is_not_a_member_it_says_how_to_invite_it(bot: Bot) -> None:
    seen = bot.workspace.messages("C0GENERAL")
    bot.workspace.command(bot.line("elsewhere"), channel="C0GENERAL")
    answer = bot.workspace.wait_for(
        lambda: [m for m in bot.workspace.messages("C0GENERAL") if m not in seen]
    )
    assert "/invite" in shown(answer[0])


def test_the_form_is_filled_with_what_was_typed_and_starts_the_experiment(bot: Bot) -> None:
    bot.workspace.command(bot.line("formed", "trials=3").replace("tune ", "tune form ", 1))
    form = bot.workspace.wait_for(lambda: _form(bot))
    values = filled(form, {"max_trial_count": "2"})
    answer = bot.workspace.submit(form["id"], values)
    assert answer["response_action"] == "update"
    keys = bot.wait_for("formed", "ended")
    assert keys.count("started") == 1
    assert "of 2 trials" in bot.card("formed")["text"]  # type: ignore[index]
    view = bot.workspace.person().view()
    assert view is not None
    assert "/archives/C0TUNING/p" in str(view)


def test_an_error_appears_under_its_field_and_what_was_typed_survives(bot: Bot) -> None:
    bot.workspace.command("/katib-tune")
    form = bot.workspace.wait_for(lambda: _form(bot))
    typed = {"max_trial_count": "many", "name": "keep-me"}
    answer = bot.workspace.submit(form["id"], filled(form, typed))
    assert answer["response_action"] == "errors"
    assert set(answer["errors"]) == {"max_trial_count"}
    assert "many" in answer["errors"]["max_trial_count"]


def test_a_spec_in_yaml_can_be_pasted(bot: Bot) -> None:
    spec = (
        "name: pasted\nobjective_function: f\nobjective_metric_name: x\n"
        "objective_source: |\n  def f(p):\n      return {'x': p['a']}\n"
        "parameters: {a: {min: 1, max: 5}}\nmax_trial_count: 2\n"
    )
    bot.workspace.command("/katib-tune")
    form = bot.workspace.wait_for(lambda: _form(bot))
    answer = bot.workspace.submit(form["id"], filled(form, {"yaml": spec}))
    assert answer["response_action"] == "update", answer
    bot.wait_for("pasted", "ended")


def test_stop_ends_it_with_the_best_so_far(bot: Bot) -> None:
    bot.ephemeral(bot.line("long", "trials=6", "parallel=1", waiting=True))
    bot.wait_for("long", "started")
    bot.workspace.press(bot.wait_for_card("long"), "stop_experiment")
    bot.wait_for("long", "ended")
    card = bot.card("long")
    assert card is not None
    assert "Stopped" in card["text"] or "Killed" in card["text"]
    assert "stop_experiment" not in shown(card), "what has ended cannot be stopped again"
    assert "long" in shown(bot.ephemeral("/katib-tune stop long"))


def test_logs_shows_what_a_trial_printed_to_whoever_asked(bot: Bot) -> None:
    bot.ephemeral(bot.line("loud", "trials=2", "failed=2").replace("a=10..20", "a=1,2 bad=1"))
    bot.wait_for("loud", "ended")
    trials = LocalEngine(bot.state, allow_code=True, start=False).get("loud").status.trials
    assert trials
    for trial in trials:
        said = "a is bad" if trial.parameters["a"] == 1 else "score="
        for typed in (f"loud {trial.number}", f"loud {trial.name}", trial.name):
            answer = bot.ephemeral(f"/katib-tune logs {typed}")
            assert said in shown(answer)
            assert "rich_text_preformatted" in shown(answer)
    unknown = shown(bot.ephemeral("/katib-tune logs loud 77"))
    assert "`loud` has no trial `77`" in unknown
    assert "is an Experiment, not a trial" in shown(bot.ephemeral("/katib-tune logs loud"))
    assert "There is no trial `loud-er`" in shown(bot.ephemeral("/katib-tune logs loud-er"))


def test_what_the_engine_does_not_have_is_not_offered_and_says_what_to_do_instead(
    bot: Bot,
) -> None:
    offered = shown(bot.ephemeral("/katib-tune help"))
    for verb in ("extend", "parallel", "retry", "pause", "resume"):
        assert f"/katib-tune {verb} NAME" in offered
    assert "/katib-tune watch" not in offered
    assert "those that were started with me" in shown(bot.ephemeral("/katib-tune watch other"))


def test_an_experiment_that_is_extended_goes_on_and_its_thread_ends_a_second_time(
    bot: Bot,
) -> None:
    bot.ephemeral(bot.line("longer", "trials=2", "resume_policy=LongRunning"))
    bot.wait_for("longer", "ended")
    answer = shown(bot.ephemeral("/katib-tune extend longer trials=4"))
    assert "*longer* had ended; it goes on with up to 4 trials now" in answer
    assert bot.wait_for("longer", "ended:2").count("ended") == 1
    bot.workspace.wait_for(lambda: "4 of 4 trials" in bot.wait_for_card("longer")["text"])
    assert "4 is not more" in shown(bot.ephemeral("/katib-tune extend longer 4"))


def test_a_failed_trial_is_tried_again_beside_the_others(bot: Bot) -> None:
    line = bot.line("again", "trials=200", "failed=200", "parallel=1")
    bot.ephemeral(line.replace("a=10..20", "a=1,2 bad=1"))
    bot.wait_for("again", "failure:CodeError")
    engine = LocalEngine(bot.state, allow_code=True, start=False)
    broken = next(t for t in engine.get("again").status.trials if t.parameters["a"] == 1)
    answer = shown(bot.ephemeral(f"/katib-tune retry again {broken.number}"))
    assert f"Trial {broken.number} of *again* is tried again" in answer
    bot.workspace.wait_for(lambda: "+ 1 tried again" in bot.wait_for_card("again")["text"])
    answer = shown(bot.ephemeral("/katib-tune parallel again 2"))
    assert "runs up to 2 trials at a time now" in answer
    bot.ephemeral("/katib-tune stop again")


def test_what_is_paused_goes_on_where_it_was(bot: Bot) -> None:
    bot.ephemeral(bot.line("rest", "trials=2", waiting=True))
    bot.wait_for("rest", "started")
    answer = shown(bot.ephemeral("/katib-tune pause rest"))
    assert "*rest* is paused until `/katib-tune resume rest`" in answer
    bot.workspace.wait_for(lambda: "Paused · rest" in bot.wait_for_card("rest")["text"])
    assert "Paused by ada" in shown(bot.wait_for_card("rest"))
    bot.open_gate()
    assert "*rest* goes on" in shown(bot.ephemeral("/katib-tune resume rest"))
    bot.wait_for("rest", "ended")
    bot.workspace.wait_for(lambda: "2 of 2 trials" in bot.wait_for_card("rest")["text"])


def test_show_trials_shows_them_to_whoever_pressed(bot: Bot) -> None:
    bot.ephemeral(bot.line("shown", "trials=3"))
    bot.wait_for("shown", "ended")
    card = bot.wait_for_card("shown")
    bot.workspace.press(card, "show_trials")
    seen = bot.workspace.wait_for(
        lambda: [m for m in bot.workspace.thread("C0TUNING", card["ts"]) if m.get("is_ephemeral")]
    )
    assert "data_table" in shown(seen[0])


def test_a_failure_is_told_once_with_its_cause(bot: Bot) -> None:
    bot.ephemeral(bot.line("failing", "trials=3", "failed=3").replace("a=10..20", "a=1,2 bad=1"))
    keys = bot.wait_for("failing", "ended")
    assert sum(k.startswith("failure:") for k in keys) <= 1
    assert "a is bad" in "".join(map(shown, bot.thread("failing"))) or "failure" not in str(keys)


def _form(bot: Bot) -> dict[str, object] | None:
    view = bot.workspace.person().view()
    return view if view is not None and view.get("submit") else None
