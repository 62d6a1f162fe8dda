"""One sentence for everything that could be wrong: settings, Slack, engine, model and data."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator

import yaml
from pydantic import SecretStr

from bot import compose
from bot.embedded import our_manifest
from bot.engines import katib_doctor
from bot.engines.base import Query
from bot.engines.katib_doctor import Served
from bot.engines.katib_places import Place, Places, read_channels
from bot.engines.kube import Kube
from bot.engines.local import LocalEngine
from bot.errors import TuneError
from bot.findings import Finding, Verdict
from bot.settings import Settings, variable

MARKS: dict[Verdict, str] = {"ok": "ok   ", "note": "note ", "wrong": "WRONG"}
FREE_DISK_MB = 2000
FETCH_CHECK_TIMEOUT_S = 60


def examine(settings: Settings) -> int:
    """Print every finding; exit code 1 if anything is wrong."""
    wrong = False
    here = (_cluster,) if settings.engine == "katib" else (_engine, _model_and_data)
    for check in (_settings, _slack, *here):
        for finding in _safely(check, settings):
            print(f"{MARKS[finding.verdict]}  {finding.topic:<9} {finding.sentence}", flush=True)
            wrong = wrong or finding.verdict == "wrong"
    return 1 if wrong else 0


def _safely(
    check: Callable[[Settings], Iterator[Finding]], settings: Settings
) -> Iterator[Finding]:
    try:
        yield from check(settings)
    except (TuneError, OSError) as error:
        yield Finding("wrong", check.__name__.strip("_").split("_")[0], str(error))


def _settings(settings: Settings) -> Iterator[Finding]:
    for field in Settings.model_fields:
        value = getattr(settings, field)
        shown = (
            f"set ({str(value.get_secret_value())[:5]}…)" if isinstance(value, SecretStr) else value
        )
        name = variable(field)
        yield Finding("ok", "setting", f"{name} is {'not set' if value in (None, '') else shown}.")


def _slack(settings: Settings) -> Iterator[Finding]:
    if settings.slack_bot_token is None and settings.slack_app_token is None:
        yield Finding(
            "note", "Slack", "No Slack tokens are set: `run` brings a workspace of its own; "
            "`serve` needs SLACK_BOT_TOKEN and SLACK_APP_TOKEN.",
        )  # fmt: skip
        return
    yield from _tokens(settings)
    client = compose.slack_client(settings)
    identity = compose.identify(client)
    yield Finding(
        "ok", "Slack", f"The bot token belongs to {identity.get('user')} in {identity.get('team')}."
    )
    granted = _granted(settings)
    missing = _wanted_scopes() - granted
    if missing:
        yield Finding(
            "wrong", "Slack", f"The bot token lacks the scopes {', '.join(sorted(missing))}: add "
            "them under OAuth & Permissions and install the app again. Without the history scopes "
            "one message can be repeated after a crash.",
        )  # fmt: skip
    else:
        yield Finding("ok", "Slack", "The bot token has every scope of the manifest.")
    yield _app_token(settings)


def _tokens(settings: Settings) -> Iterator[Finding]:
    for field, prefix in (("slack_bot_token", "xoxb-"), ("slack_app_token", "xapp-")):
        token = getattr(settings, field)
        if token is None:
            yield Finding("wrong", "Slack", f"{variable(field)} is not set ({prefix}…).")
        elif not token.get_secret_value().startswith(prefix):
            yield Finding(
                "wrong", "Slack", f"{variable(field)} should begin with {prefix}; it begins with "
                f"{token.get_secret_value()[:5]}: the two tokens may be exchanged.",
            )  # fmt: skip


def _granted(settings: Settings) -> set[str]:
    answer = compose.slack_client(settings).auth_test()
    header = answer.headers.get("x-oauth-scopes") or answer.headers.get("X-OAuth-Scopes") or ""
    return {scope.strip() for scope in header.split(",") if scope.strip()}


def _wanted_scopes() -> set[str]:
    manifest = yaml.safe_load(our_manifest().read_text(encoding="utf-8"))
    return set(manifest["oauth_config"]["scopes"]["bot"])


def _app_token(settings: Settings) -> Finding:
    from slack_sdk.errors import SlackApiError

    if settings.slack_app_token is None:
        return Finding("wrong", "Slack", "Without SLACK_APP_TOKEN Slack cannot reach the bot.")
    client = compose.slack_client(settings)
    try:
        client.apps_connections_open(app_token=settings.slack_app_token.get_secret_value())
    except SlackApiError as error:
        return Finding(
            "wrong", "Slack", f"The app-level token is refused (`{error.response.get('error')}`): "
            "it needs the scope connections:write, and Socket Mode must be on.",
        )  # fmt: skip
    return Finding("ok", "Slack", "The app-level token opens Socket Mode connections.")


def _cluster(settings: Settings) -> Iterator[Finding]:
    own = Kube(settings.kube_context)
    default = Place(settings.namespace or own.default_namespace, settings.kube_context)
    places = Places(default, read_channels(settings.channels, settings.kube_context)).all
    yield from katib_doctor.examine_trials(settings.trainer_image, settings.trial_template)
    for context in dict.fromkeys(place.context for place in places):
        is_own = context == settings.kube_context
        served = Served(
            tuple(place.namespace for place in places if place.context == context),
            settings.trainer_image,
            settings.trial_template,
            own_namespace=own.default_namespace if is_own else None,
        )
        yield from katib_doctor.examine(own if is_own else Kube(context), served)


def _engine(settings: Settings) -> Iterator[Finding]:
    for package in ("optuna", "torch", "transformers", "peft", "datasets"):
        if importlib.util.find_spec(package) is None:
            yield Finding(
                "wrong", "engine", f"The package {package} is not installed: the local engine "
                "needs the extra `local` (pip install 'katib-tune[local]').",
            )  # fmt: skip
    folder = settings.state_dir
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        yield Finding(
            "wrong",
            "engine",
            f"{existing} is no folder that can be written; set KATIB_TUNE_STATE_DIR.",
        )
    free = shutil.disk_usage(existing).free // 2**20
    verdict: Verdict = "ok" if free >= FREE_DISK_MB else "wrong"
    yield Finding(verdict, "engine", f"{free} MB are free where Experiments are kept ({folder}).")
    known = LocalEngine(settings.state_dir, allow_code=False, start=False).find(Query(limit=1000))
    open_ones = sum(not each.status.condition.is_final for each in known)
    yield Finding("ok", "engine", f"{len(known)} Experiments are recorded, {open_ones} not ended.")


def _model_and_data(_settings: Settings) -> Iterator[Finding]:
    command = [
        sys.executable, "-m", "trainer", "fetch", "--size",
        "--model", "default", "--dataset", "default",
    ]  # fmt: skip
    answer = subprocess.run(
        command, capture_output=True, text=True, timeout=FETCH_CHECK_TIMEOUT_S, check=False
    )
    said = (answer.stdout.strip() or answer.stderr.strip()).splitlines()
    sentence = said[-1] if said else "the trainer says nothing"
    yield Finding("ok" if answer.returncode == 0 else "wrong", "model", sentence)
