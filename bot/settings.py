"""Every setting, in one class. Read from the environment and from `.env`, in that order."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from bot import __version__
from bot.errors import TuneError


def default_state_dir() -> Path:
    """Where Experiments live unless a setting says otherwise (the XDG state folder)."""
    base = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(base).expanduser() / "katib-tune"


class Settings(BaseSettings):
    """Each field is an environment variable `KATIB_TUNE_<FIELD>`; tokens also by Slack's names."""

    model_config = SettingsConfigDict(
        env_prefix="KATIB_TUNE_",
        env_file=".env",
        extra="ignore",
        frozen=True,
        populate_by_name=True,
        env_ignore_empty=True,
    )

    slack_bot_token: SecretStr | None = Field(
        None, validation_alias="SLACK_BOT_TOKEN", description="Bot token, `xoxb-…` (for `serve`)."
    )
    slack_app_token: SecretStr | None = Field(
        None,
        validation_alias="SLACK_APP_TOKEN",
        description="App-level token, `xapp-…`, scope connections:write (for `serve`).",
    )
    slack_api_url: str = Field(
        "https://slack.com/api/",
        description="Slack's Web API; `run` sets it to the embedded workspace.",
    )
    state_dir: Path = Field(
        default_factory=default_state_dir,
        description="Folder of the Experiments and of the embedded workspace.",
    )
    port: int = Field(
        8765, ge=0, le=65535, description="Port of the embedded workspace's page; 0 takes any."
    )
    workspace_token: SecretStr | None = Field(
        None,
        description="Token in the address of the embedded workspace's page; else every start makes "
        "a new one.",
    )
    poll_interval_s: float = Field(
        1.0, gt=0, description="Seconds between two looks at the open Experiments."
    )
    allow_code: bool = Field(
        False,
        description="Let people in Slack run Python code on this machine: objectives of their "
        "own, and what comes with models (`trust_remote_code`). `run` and `tune` allow it: there "
        "it is your own machine.",
    )
    engine: Literal["local", "katib"] = Field(
        "local",
        description="Where trials run: `local`, processes of this machine, or `katib`, a cluster.",
    )
    kube_context: str | None = Field(
        None, description="Context of the kubeconfig; else the current one, or the pod's own."
    )
    namespace: str | None = Field(
        None, description="Namespace of the Experiments; else the context's, or the pod's own."
    )
    channels: str = Field(
        "",
        description="Channels whose Experiments run elsewhere: "
        "`C0123=team-a,C0456=team-b@other-context`.",
    )
    trainer_image: str = Field(
        f"katib-tune-trainer:{__version__}",
        description="Image of the trials on a cluster, with a tag (Dockerfile, target `trainer`).",
    )
    trial_template: Path | None = Field(
        None,
        description="YAML of what every trial's pods have on a cluster: node selector, "
        "tolerations, queue … (manifests/trial-template.yaml is the example).",
    )
    health_port: int = Field(
        0,
        ge=0,
        le=65535,
        description="Port of `/healthz`, `/readyz` and `/metrics` (Prometheus); 0 is none.",
    )
    log_level: str = Field("INFO", description="DEBUG, INFO, WARNING or ERROR.")


def load(**overrides: Any) -> Settings:
    """The settings, with `overrides` from the command line in front (None means not given).

    Raises:
        TuneError: a value that cannot be used, naming its variable.
    """
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        return Settings(**given)
    except ValidationError as error:
        first = error.errors()[0]
        field = str(first["loc"][0])
        raise TuneError(
            f"The setting {variable(field)} is {first['input']!r}: {first['msg'].lower()}.",
            hint="`katib-tune doctor` lists all settings.",
            field=field,
        ) from error


def variable(field: str) -> str:
    """The environment variable of a field."""
    info = Settings.model_fields.get(field)
    alias = info.validation_alias if info else None
    return alias if isinstance(alias, str) else f"KATIB_TUNE_{field.upper()}"


def table() -> str:
    """The Markdown table of all settings, as it stands in the README."""
    rows = ["| Variable | Default | Meaning |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = {"state_dir": "~/.local/state/katib-tune", "allow_code": "false"}.get(
            name, field.default
        )
        shown = "" if default is None else f"`{default}`"
        rows.append(f"| `{variable(name)}` | {shown} | {field.description} |")
    return "\n".join(rows)
