"""The unmodified bot with the Katib engine, as a person in Slack and in a terminal meets it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from slack_sdk import WebClient

from bot import prior
from bot.errors import SpecError
from bot.outbox import Outbox
from bot.poller import Poller
from bot.slack import command
from bot.slack.conversation import Conversation
from bot.workspace.person import filled
from tests.cluster.api import Api
from tests.cluster.bodies import experiment, pytorchjob
from tests.cluster.katib_refusals import INJECTION_LABEL
from tests.cluster.recordings import Line, PodFacts, Recording, metric_lines
from tests.cluster.resources import EXPERIMENTS, LEASES, NAMESPACES
from tests.cluster.run import Controllers
from tests.cluster.test_katib_engine import make_engine
from tests.cluster.waiting import until
from tests.harness import RunningWorkspace
from tests.scenarios.conftest import MANIFEST, Bot, key, shown

pytestmark = pytest.mark.cluster

SPACE = "org/model on org/data learning_rate=1e-5..1e-3:log objective=maximize:eval_accuracy"
FAIL_OVER_S = 25.0  # the Lease's 15 s, and as long again until a poll tells


def accuracy(parameters: Mapping[str, str]) -> float:
    """Best at 5e-4, better by more than noise than the known-good default."""
    return 0.9 - 300 * abs(float(parameters.get("learning_rate") or 2e-4) - 5e-4)


class Stage:
    """What the pods of a namespace do: fetch, then trials that last until `open_gate`."""

    def __init__(self, standins: Controllers, namespace: str, *, last_s: float = 0.3) -> None:
        self._standins, self._namespace, self._last_s = standins, namespace, last_s
        self.play(never_ends=False)

    def play(self, *, never_ends: bool, fails: bool = False) -> None:
        """How pods run from now on."""

        def choose(facts: PodFacts) -> Recording:
            if facts.trial is None and "-fetch-" in facts.name:
                return Recording((Line("fetched"),), last_s=0.5)
            if fails:
                return Recording((Line("error: CUDA went away"),), exit_code=1)
            lines = (
                Line("eval_accuracy=0.3"),
                Line(f"eval_accuracy={accuracy(facts.parameters):.4f}"),
            )
            return Recording(lines[: 1 if never_ends else 2], last_s=self._last_s,
                             never_ends=never_ends)  # fmt: skip

        self._standins.node.play(self._namespace, choose)


class KatibBot(Bot):
    """`katib-tune serve` with the Katib engine in one namespace."""

    def __init__(
        self, workspace: RunningWorkspace, state: Path, namespace: str, kubeconfig: str
    ) -> None:
        super().__init__(workspace, state)
        self._settings = katib_settings(namespace, kubeconfig)

    def environment(self) -> dict[str, str]:
        return {**super().environment(), **self._settings}

    def says(self, words: str) -> str:
        """Everything that is answered to `/katib-tune WORDS`."""
        return shown(self.ephemeral(f"/katib-tune {words}"))

    def told(self, name: str) -> str:
        return "\n".join(map(shown, self.thread(name)))


def katib_settings(namespace: str, kubeconfig: str) -> dict[str, str]:
    return {
        "KATIB_TUNE_ENGINE": "katib",
        "KATIB_TUNE_NAMESPACE": namespace,
        "KATIB_TUNE_TRAINER_IMAGE": "registry.example/trainer:1.0",
        "KUBECONFIG": kubeconfig,
    }


@contextmanager
def a_workspace(folder: Path) -> Iterator[RunningWorkspace]:
    running = RunningWorkspace(folder, yaml.safe_load(MANIFEST.read_text()))
    yield running
    running.stop()


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[RunningWorkspace]:
    """A workspace of the test's own: commands go to any of the processes that are connected."""
    with a_workspace(tmp_path / "workspace") as running:
        yield running


@contextmanager
def serving(
    workspace: RunningWorkspace, folder: Path, namespace: str, kubeconfig: str
) -> Iterator[KatibBot]:
    """The bot, connected, until the block ends."""
    state = folder / namespace
    state.mkdir(parents=True)
    bot = KatibBot(workspace, state, namespace, kubeconfig)
    try:
        bot.start()
        yield bot
    finally:
        if bot.is_running:
            bot.stop()


@contextmanager
def a_namespace(api: Api, **labels: str) -> Iterator[str]:
    name = f"bot-{uuid.uuid4().hex[:8]}"
    api.create(NAMESPACES, {"metadata": {"name": name, "labels": labels}})
    yield name
    api.delete(NAMESPACES, "", name)


@pytest.fixture(scope="module")
def shared(api: Api, standins: Controllers) -> Iterator[str]:
    with a_namespace(api, **{INJECTION_LABEL: "enabled"}) as name:
        yield name


@pytest.fixture(scope="module")
def bot(
    shared: str, kubeconfig: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[KatibBot]:
    folder = tmp_path_factory.mktemp("bot")
    with (
        a_workspace(folder / "workspace") as workspace,
        serving(workspace, folder, shared, kubeconfig) as only,
    ):
        yield only


@pytest.fixture
def stage(standins: Controllers, shared: str) -> Stage:
    return Stage(standins, shared)


def name_it() -> str:
    return f"tune-{uuid.uuid4().hex[:6]}"


def test_a_typed_line_becomes_a_thread_that_ends_with_the_optimum(
    bot: KatibBot, stage: Stage
) -> None:
    name = name_it()
    # A grid, so that it tries 5e-4, the best there is: a random search might have no luck.
    line = "org/model on org/data learning_rate=1e-4..1e-3:step=1e-4 objective=eval_accuracy"
    words = f"algorithm=grid name={name} trials=10 parallel=3"
    assert "/archives/C0TUNING/p" in bot.says(f"{line} {words}")
    bot.workspace.wait_for(lambda: "are being fetched" in shown(bot.card(name) or {"text": ""}))
    keys = bot.wait_for(name, "ended")
    assert (keys[0], keys[-1]) == ("started", "ended")
    assert len(keys) == len(set(keys))
    started, end = bot.thread(name)[1], shown(bot.thread(name)[-1])
    assert "and beside them the known-good default (trial 0)" in shown(started)
    assert "all trials are done (10 of 10 trials + trial 0)" in end
    assert "points better than the known-good default (trial 0: 0.81)" in end
    assert "10 of 10 trials + trial 0" in shown(bot.wait_for_card(name))
    found = shown(bot.ephemeral(f"/katib-best {name}"))
    assert "Optimal hyperparameters" in found
    assert "/archives/C0TUNING/p" in found
    assert "has ended: all trials are done" in bot.says(f"stop {name}")
    assert "resume_policy=LongRunning" in bot.says(f"extend {name} 19")
    assert "none of its trials can be tried again" in bot.says(f"retry {name} 1")
    assert name in bot.says("list")


def test_what_runs_can_be_looked_at_changed_and_stopped(bot: KatibBot, stage: Stage) -> None:
    name = name_it()
    stage.play(never_ends=True)
    bot.says(f"{SPACE} name={name} trials=4 parallel=2")
    bot.wait_for(name, "started")
    bot.workspace.wait_for(lambda: "3 running" in shown(bot.wait_for_card(name)), timeout_s=30)
    assert "0 of 4 trials · 3 running" in bot.says(f"status {name}")
    assert "eval_accuracy=0.3" in bot.says(f"logs {name} 1")
    assert "It has trials 0 to 2" in bot.says(f"logs {name} 7")
    assert "up to 6 trials now" in bot.says(f"extend {name} trials=6")
    assert "6 is not more" in bot.says(f"extend {name} 6")
    assert "More are running: the newest" in bot.says(f"parallel {name} 1")
    assert "has not ended yet" in bot.says(f"retry {name} 1")
    stopped = bot.says(f"stop {name}")
    assert "has ended: stopped by ada." in stopped
    assert "best so far" not in stopped, "no trial reported a value"
    bot.wait_for(name, "ended")
    assert "killed" in shown(bot.thread(name)[-1])
    assert "cannot be changed" in bot.says(f"extend {name} 9")
    taken = bot.says(f"{SPACE} name={name}")
    assert f"There is an Experiment `{name}` already. Choose another name." in taken
    assert "^^^^" in taken, "the word of the line is pointed at"


def test_a_failed_trial_is_told_with_its_cause_and_tried_again(bot: KatibBot, stage: Stage) -> None:
    name = name_it()
    stage.play(never_ends=False, fails=True)
    bot.says(f"{SPACE} name={name} trials=50 parallel=1 failed=40")
    bot.workspace.wait_for(
        lambda: any(k.startswith("failure:") for k in bot.keys(name)), timeout_s=60
    )
    assert "CUDA went away" in bot.told(name)
    assert "PyTorchJobFailed" not in bot.told(name), "trial 0 fails with its cause, too"
    until(lambda: "CUDA went away" in bot.says(f"logs {name} 1"), "its log", 20)
    until(lambda: " failed" in shown(bot.wait_for_card(name)), "a card that counts it")
    stage.play(never_ends=True)
    until(lambda: "is tried again" in bot.says(f"retry {name} 1"), "the second try", 20)
    bot.says(f"stop {name}")
    keys = bot.wait_for(name, "ended")
    assert sum(k.startswith("failure:") for k in keys) == 1


def test_an_experiment_of_others_is_followed_and_not_owned(
    bot: KatibBot, shared: str, standins: Controllers, api: Api
) -> None:
    standins.node.play(shared, lambda facts: Recording(
        metric_lines(facts.trial, score=0.5) if facts.trial and facts.role != "worker" else (),
        last_s=0.5,
    ))  # fmt: skip
    body = experiment(shared, trial=pytorchjob(workers=1))
    body["metadata"]["name"] = name = name_it()
    api.create(EXPERIMENTS, body)
    assert "is followed in this channel from now on" in bot.says(f"watch {name}")
    card = shown(bot.wait_for_card(name))
    assert "followed for ada" in card
    assert "started by" not in card
    assert "stop_experiment" not in card
    assert "is followed already" in bot.says(f"watch {name}")
    assert "was not started here" in bot.says(f"stop {name}")
    bot.wait_for(name, "ended")
    assert f"{name}: score 0.5" in shown(bot.ephemeral(f"/katib-best {name}"))
    assert "kubectl get experiments" in bot.says("watch nobodys")


def test_an_experiment_deleted_by_hand_gets_a_last_line(
    bot: KatibBot, stage: Stage, shared: str, api: Api
) -> None:
    name = name_it()
    stage.play(never_ends=True)
    bot.says(f"{SPACE} name={name} trials=4")
    bot.wait_for(name, "started")
    api.delete(EXPERIMENTS, shared, name)
    assert bot.wait_for(name, "ended")[-1] == "ended"
    assert "it was deleted, and not by me" in shown(bot.thread(name)[-1])
    assert "⚫ Deleted" in shown(bot.wait_for_card(name))


# -- what goes wrong at the start


def form_of(bot: KatibBot) -> dict[str, Any]:
    def opened() -> dict[str, Any] | None:
        view = bot.workspace.person().view()
        return view if view is not None and view.get("submit") else None

    found: dict[str, Any] = bot.workspace.wait_for(opened)
    return found


def test_a_namespace_without_the_label_is_refused_and_the_form_keeps_its_values(
    workspace: RunningWorkspace, api: Api, standins: Controllers, kubeconfig: str, tmp_path: Path
) -> None:
    with a_namespace(api) as bare, serving(workspace, tmp_path, bare, kubeconfig) as bot:
        name = name_it()
        refused = bot.says(f"{SPACE} name={name}")
        assert "Without the label Katib reads no metrics there." in refused
        assert f"kubectl label namespace {bare} {INJECTION_LABEL}=enabled" in refused
        assert bot.card(name) is None
        bot.workspace.command(f"/katib-tune form {SPACE} name={name} trials=7")
        form = form_of(bot)
        bot.workspace.submit(form["id"], filled(form, {}))

        def back() -> dict[str, Any] | None:
            view = form_of(bot)
            return view if f"kubectl label namespace {bare}" in shown_view(view) else None

        again = bot.workspace.wait_for(back)
        assert name in shown_view(again)
        assert "'7'" in shown_view(again)
        bot.workspace.close_view(again["id"])
        assert bot.says("help")


def shown_view(view: Mapping[str, Any]) -> str:
    return str(yaml.safe_dump(dict(view), allow_unicode=True, width=10**6))


def closed_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def test_without_a_cluster_every_answer_says_so_and_the_bot_goes_on(
    workspace: RunningWorkspace, kubeconfig: str, tmp_path: Path
) -> None:
    config = yaml.safe_load(Path(kubeconfig).read_text(encoding="utf-8"))
    for each in config["clusters"]:
        each["cluster"]["server"] = f"https://127.0.0.1:{closed_port()}"
    own = tmp_path / "kubeconfig"
    own.write_text(yaml.safe_dump(config))
    with serving(workspace, tmp_path, "nowhere", str(own)) as bot:
        for line in (f"{SPACE} name=x", "list", "status x", "stop x"):
            answer = bot.says(line)
            assert "cannot be reached: connection refused. Is the cluster up" in answer, line
        assert "/katib-best" in bot.says("help")


def test_a_namespace_that_is_not_there_is_named(
    workspace: RunningWorkspace, kubeconfig: str, standins: Controllers, tmp_path: Path
) -> None:
    with serving(workspace, tmp_path, "no-such-place", kubeconfig) as bot:
        refused = bot.says(f"{SPACE} name=x")
        assert "There is no namespace `no-such-place`" in refused
        assert "kubectl create namespace no-such-place" in refused
        assert "no-such-place" in bot.says("watch x")


def test_a_form_that_is_delivered_again_is_answered_as_before(
    workspace: RunningWorkspace, kubeconfig: str, namespace: str, standins: Controllers
) -> None:
    client = WebClient(token=workspace.bot_token, base_url=workspace.api_url, retry_handlers=[])
    engine = make_engine(kubeconfig, namespace)
    conversation = Conversation(engine, Poller(engine, Outbox(client)), client, allow_code=False)
    asked = prior.to_spec(command.parse_tune(f"{SPACE} name={name_it()}").data, "x")
    body = {"user_id": "U0ADA", "user_name": "ada", "channel_id": "C0TUNING"}
    first = conversation.start(asked, body, uid="V1")
    assert conversation.start(asked, body, uid="V1").record == first.record
    with pytest.raises(SpecError, match=f"There is an Experiment `{asked.name}` already"):
        conversation.start(asked, body, uid="V2")
    engine.stop(asked.name, "ada")
    conversation.close()
    engine.close()


# -- two replicas


def test_when_the_leader_is_killed_the_other_goes_on_and_nothing_is_told_twice_or_lost(
    workspace: RunningWorkspace, api: Api, standins: Controllers, kubeconfig: str, tmp_path: Path,
    namespace: str,
) -> None:  # fmt: skip
    config = yaml.safe_load(Path(kubeconfig).read_text(encoding="utf-8"))
    for each in config["contexts"]:
        each["context"]["namespace"] = namespace  # the Lease lies in the bot's own
    own = tmp_path / "kubeconfig"
    own.write_text(yaml.safe_dump(config))
    stage, name = Stage(standins, namespace, last_s=2.0), name_it()

    def holder() -> str:
        return str(api.get(LEASES, namespace, "katib-tune")["spec"].get("holderIdentity") or "")

    with serving(workspace, tmp_path, namespace, str(own)) as first:
        before = until(holder, "a leader")
        with serving(workspace, tmp_path / "more", namespace, str(own)) as second:
            second.says(f"{SPACE} name={name} trials=8 parallel=2")
            first.wait_for(name, "started")
            first.kill()
            second.workspace.wait_for(
                lambda: "ended" in second.keys(name), timeout_s=FAIL_OVER_S + 30
            )
            after = holder()
            assert after != before
            keys = second.keys(name)
            assert [told for told, times in Counter(keys).items() if times > 1] == []
            assert (keys[0], keys[-1]) == ("started", "ended")
            assert "8 of 8 trials + trial 0" in shown(second.wait_for_card(name))
            assert key(second.wait_for_card(name)) == "card"
    stage.play(never_ends=False)


# -- in a terminal


@pytest.fixture
def terminal(shared: str, kubeconfig: str, tmp_path: Path) -> Callable[..., Any]:
    environment = {
        **os.environ, **katib_settings(shared, kubeconfig), "KATIB_TUNE_STATE_DIR": str(tmp_path),
    }  # fmt: skip

    def start(*words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "bot", *words],
            env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    return start


def test_tune_in_a_terminal_shows_each_trial_and_the_optimum_that_best_finds(
    terminal: Callable[..., Any], stage: Stage
) -> None:
    name = name_it()
    run = terminal("tune", f"{SPACE} name={name} trials=2")
    out, _ = run.communicate(timeout=60)
    assert run.returncode == 0, out
    assert out.count("are being fetched") == 1
    assert [f"trial  {n}" in out for n in range(3)] == [True] * 3
    assert "Optimal: eval_accuracy" in out
    best = terminal("best", name)
    out, _ = best.communicate(timeout=60)
    assert best.returncode == 0
    assert out.startswith(f"# {name}  Succeeded")
    assert "2 of 2 trials + trial 0" in out
    assert "learning_rate:" in out


def test_ctrl_c_in_a_terminal_stops_the_experiment_on_the_cluster(
    terminal: Callable[..., Any], stage: Stage, api: Api, shared: str
) -> None:
    name = name_it()
    stage.play(never_ends=True)
    run = terminal("tune", f"{SPACE} name={name} trials=2")
    until(lambda: api.find(EXPERIMENTS, shared, name), "the Experiment")
    run.send_signal(signal.SIGINT)
    out, _ = run.communicate(timeout=60)
    assert run.returncode == 130, out
    assert "Killed: Stopped by terminal." in out
    until(lambda: api.find(EXPERIMENTS, shared, name) is None, "its deletion")
