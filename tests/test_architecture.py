"""The import table: who may import whom. Imports go up, never down."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# Layer by layer, top first; a file may import from its own layer only where ALSO says so.
LAYERS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("words", ("bot", "bot.errors", "bot.algorithms", "bot.spec", "bot.settings")),
    ("facts", ("bot.hyperparameters", "bot.status", "bot.prior")),
    (
        "decisions",
        ("bot.notifications", "bot.insight", "bot.engines.base", "bot.engines.trainer_command",
         "bot.slack.blocks"),
    ),
    (
        "pure edges",
        ("bot.slack.command", "bot.slack.modal", "bot.slack.messages", "bot.engines.local_study"),
    ),
    (
        "effects",
        ("bot.engines.local", "bot.engines.local_server", "bot.engines.local_process",
         "bot.outbox", "bot.poller", "bot.slack.conversation", "bot.slack.app"),
    ),
    ("root", ("bot.compose", "bot.terminal", "bot.doctor", "bot.demo", "bot.__main__")),
)  # fmt: skip
# Within a layer, only downwards in the order above is forbidden to be circular: listed pairs.
ALSO = {
    "bot.algorithms": {"bot.errors"},
    "bot.spec": {"bot.errors", "bot.algorithms"},
    "bot.settings": {"bot.errors"},
    "bot.prior": {"bot.hyperparameters"},
    "bot.notifications": {"bot.insight"},
    "bot.slack.modal": {"bot.slack.command", "bot.slack.messages"},
    "bot.slack.messages": {"bot.slack.command"},
    "bot.engines.local": {"bot.engines.local_process"},
    "bot.engines.local_server": {"bot.engines.local_process"},
    "bot.poller": {"bot.outbox"},
    "bot.slack.conversation": {"bot.poller"},
    "bot.slack.app": {"bot.slack.conversation"},
    "bot.__main__": {"bot.compose", "bot.terminal", "bot.doctor"},
    "bot.terminal": set(),
    "bot.doctor": {"bot.compose"},
    "bot.demo": set(),
}
NEVER_IN_BOT = {"torch", "transformers", "peft", "datasets", "trainer"}
# What the embedded workspace offers to the outside: the server to run it, a person to act in it.
WORKSPACE_DOORS = {"bot.compose": {"bot.workspace.server"}, "bot.demo": {"bot.workspace.person"}}


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
RANK = {name: rank for rank, (_, names) in enumerate(LAYERS) for name in names}


@pytest.mark.parametrize(("name", "path"), BOT, ids=[name for name, _ in BOT])
def test_a_module_imports_only_from_layers_above_it(name: str, path: Path) -> None:
    if name in ("bot.engines", "bot.slack"):
        assert not list(imported(path)), f"{name} is a folder: it imports nothing"
        return
    assert name in RANK, f"{name} has no layer: give it one in tests/test_architecture.py"
    for other in imported(path):
        if other.startswith("bot.workspace"):
            assert other in WORKSPACE_DOORS.get(name, ()), f"{name} must not import {other}"
        elif other == "bot" or other.startswith("bot."):
            assert other in RANK, f"{name} imports {other}, which has no layer"
            allowed = RANK[other] < RANK[name] or other in ALSO.get(name, ()) or other == "bot"
            assert allowed, (
                f"{name} ({LAYERS[RANK[name]][0]}) must not import {other} "
                f"({LAYERS[RANK[other]][0]})"
            )


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
