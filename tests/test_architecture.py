"""The import table: who may import whom. Imports go up, never down."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# Layer by layer, top first; inside a layer, too, a file imports only what stands before it.
LAYERS: Mapping[str, tuple[str, ...]] = {
    "words": (
        "bot", "bot.errors", "bot.metrics", "bot.findings", "bot.algorithms", "bot.spec",
        "bot.settings",
    ),
    "facts": (
        "bot.hyperparameters", "bot.tasks", "bot.status", "bot.prior", "bot.trial_check",
    ),
    "decisions": (
        "bot.insight", "bot.wording", "bot.notifications", "bot.engines.base",
        "bot.engines.endings", "bot.engines.changes", "bot.engines.trainer_command",
        "bot.slack.blocks",
    ),
    "pure edges": (
        "bot.slack.quotes", "bot.slack.values", "bot.slack.words", "bot.slack.line",
        "bot.slack.reader", "bot.slack.verbs", "bot.slack.command", "bot.slack.parts",
        "bot.slack.messages", "bot.slack.answers", "bot.slack.fields", "bot.slack.modal",
        "bot.engines.local_check", "bot.engines.local_study", "bot.engines.local_status",
        "bot.engines.local_outcome",
        "bot.engines.katib_template", "bot.engines.katib_command", "bot.engines.katib_objects",
        "bot.engines.katib_state", "bot.engines.katib_wire", "bot.engines.katib_permissions",
        "bot.engines.katib_places", "bot.engines.katib_resume", "bot.engines.katib_trials",
        "bot.engines.katib_status",
        "bot.engines.katib_records", "bot.engines.katib_reader", "bot.engines.katib_adopt",
        "bot.engines.katib_store", "bot.engines.kube_errors", "bot.engines.kube_refusals",
        "bot.engines.katib_pods", "bot.engines.katib_waits", "bot.engines.katib_complaints",
        "bot.engines.katib_troubles",
    ),
    "effects": (
        "bot.engines.local_hardware", "bot.engines.local_wire", "bot.engines.local_host",
        "bot.engines.local_process",
        "bot.engines.local_tail", "bot.engines.local_trials", "bot.engines.local_records",
        "bot.engines.local_search", "bot.engines.local_reader", "bot.engines.local_machine",
        "bot.engines.local_server", "bot.engines.local_launch", "bot.engines.local",
        "bot.engines.kube_config", "bot.engines.kube_session", "bot.engines.kube",
        "bot.leader", "bot.engines.katib_lease", "bot.engines.katib_access",
        "bot.engines.katib_installed", "bot.engines.katib_offers", "bot.engines.katib_doctor",
        "bot.engines.katib_watch", "bot.engines.katib_site", "bot.engines.katib_look",
        "bot.engines.katib_drive",
        "bot.engines.katib", "bot.outbox", "bot.poller", "bot.slack.actions",
        "bot.slack.conversation", "bot.slack.app", "bot.web", "bot.health",
    ),
    "root": (
        "bot.replicas",
        "bot.choose", "bot.embedded", "bot.compose", "bot.terminal", "bot.doctor", "bot.demo",
        "bot.__main__",
    ),
}  # fmt: skip
ORDER = [name for names in LAYERS.values() for name in names]
NEVER_IN_BOT = {"torch", "transformers", "peft", "datasets", "trainer"}
# What the embedded workspace offers to the outside: the server to run it, a person to act in it.
WORKSPACE_DOORS = {
    "bot.embedded": {"bot.workspace.server", "bot.workspace.refusals"},
    "bot.demo": {"bot.workspace.person"},
}


def modules(package: str) -> Iterator[tuple[str, Path]]:
    for path in sorted((ROOT / package).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


def imported(path: Path) -> Iterator[str]:
    """Every module that a file imports, also inside functions."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide where a thing comes from"
            assert node.module is not None
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if _is_module(inner) else node.module


def _is_module(name: str) -> bool:
    path = ROOT.joinpath(*name.split("."))
    return path.with_suffix(".py").exists() or (path / "__init__.py").exists()


BOT = [(name, path) for name, path in modules("bot") if not name.startswith("bot.workspace")]


@pytest.mark.parametrize(("name", "path"), BOT, ids=[name for name, _ in BOT])
def test_a_module_imports_only_what_stands_above_it(name: str, path: Path) -> None:
    if name in ("bot.engines", "bot.slack"):
        assert not list(imported(path)), f"{name} is a folder: it imports nothing"
        return
    assert name in ORDER, f"{name} has no place: give it one in tests/test_architecture.py"
    above = set(ORDER[: ORDER.index(name)]) | WORKSPACE_DOORS.get(name, set())
    for other in imported(path):
        if other.split(".")[0] == "bot":
            assert other in above, f"{name} must not import {other}, which does not stand above it"


def test_the_table_names_no_module_that_is_gone() -> None:
    assert set(ORDER) - {name for name, _ in BOT} == set()


@pytest.mark.parametrize(("name", "path"), list(modules("bot")), ids=lambda value: str(value)[-40:])
def test_the_bot_never_imports_what_trains(name: str, path: Path) -> None:
    for other in imported(path):
        assert other.split(".")[0] not in NEVER_IN_BOT, f"{name} must not import {other}"


def test_engines_never_import_slack_and_slack_no_engine_but_the_protocol() -> None:
    for name, path in BOT:
        for other in imported(path):
            if name.startswith("bot.engines."):
                assert not other.startswith("bot.slack"), f"{name} must not import {other}"
            if name.startswith("bot.slack."):
                is_engine = other.startswith("bot.engines") and other != "bot.engines.base"
                assert not is_engine, f"{name} must not import {other}"


def test_the_workspace_knows_only_itself() -> None:
    for name, path in modules("bot.workspace".replace(".", "/")):
        for other in imported(path):
            ours = other.startswith(("bot", "trainer", "slack"))
            assert not ours or other.startswith("bot.workspace"), f"{name} must not import {other}"


def test_the_trainer_knows_only_itself() -> None:
    for name, path in modules("trainer"):
        for other in imported(path):
            assert other.split(".")[0] != "bot", f"{name} must not import {other}"
