"""What happens after the ack: the worker's side of every command, form and button."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from bot import prior
from bot.engines.base import Engine, Query, lacking
from bot.errors import NotFoundError, SpecError, TuneError
from bot.metrics import Tally
from bot.poller import Poller
from bot.slack import command, messages, modal, verbs
from bot.slack.actions import Actions
from bot.slack.blocks import FORM, STOP
from bot.slack.messages import Message
from bot.spec import TuneSpec
from bot.status import Experiment, Record

log = logging.getLogger(__name__)

WORKERS = 8


class Respond(Protocol):
    """Bolt's `respond`: answers through the payload's response_url, to one person by default."""

    def __call__(self, text: str, blocks: Any = None) -> Any: ...


class Conversation:
    """Does what people ask for, in a pool of workers; each method hands over and returns.

    `views.open` has a lane of its own: a trigger lives three seconds, whatever the others do.
    """

    def __init__(
        self, engine: Engine, poller: Poller, client: WebClient, *, allow_code: bool
    ) -> None:
        self._engine = engine
        self._poller = poller
        self._client = client
        self._actions = Actions(engine, poller, self._permalink)
        self._read_file = _read_file if allow_code else None
        self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="worker")
        self._opener = ThreadPoolExecutor(1, thread_name_prefix="views-open")
        self.commands = Tally("katib_tune_commands_total", "What people asked for.", "verb")
        self.refusals = Tally("katib_tune_refusals_total", "Commands answered by a refusal.")
        self.errors = Tally("katib_tune_errors_total", "Commands that broke on the bot's side.")

    def close(self) -> None:
        """Let the work under way end; take no more."""
        self._opener.shutdown()
        self._pool.shutdown()

    # Commands

    def tune(self, body: Mapping[str, Any], respond: Respond) -> None:
        """`/katib-tune …`: a form is opened in its lane, all else is done by the pool."""
        text = str(body.get("text") or "")
        if command.wants_form(text):
            self._opener.submit(self._guarded, respond, text, self._open_form, body)
        else:
            self._pool.submit(self._guarded, respond, text, self._tune, body, respond)

    def best(self, body: Mapping[str, Any], respond: Respond) -> None:
        """`/katib-best …`."""
        text = str(body.get("text") or "")
        self._pool.submit(self._guarded, respond, text, self._best, text, respond)

    def _tune(self, body: Mapping[str, Any], respond: Respond) -> None:
        text = str(body.get("text") or "")
        needs = verbs.needs(command.verb(text))
        if needs and needs not in self._engine.capabilities:
            raise lacking(self._engine.name, needs)
        asked = command.parse_tune(text, read_file=self._read_file)
        self.commands.add(asked.verb)
        if asked.verb == "tune":
            answer = self._start_typed(asked, body)
        else:
            answer = self._verbs[asked.verb](asked, body)
        _answer(respond, answer)

    def _start_typed(self, asked: command.TuneCommand, body: Mapping[str, Any]) -> Message:
        try:
            wanted = prior.to_spec(asked.data, secrets.token_hex(2))
            started = self.start(wanted, body, uid=secrets.token_hex(8))
        except SpecError as error:
            raise command.locate(error, asked) from error
        return messages.started(started, self._permalink(started))

    @property
    def _verbs(self) -> Mapping[str, Callable[[command.TuneCommand, Mapping[str, Any]], Message]]:
        act = self._actions
        return {
            "help": lambda _asked, _body: messages.help_text(self._engine.capabilities),
            "list": lambda _asked, _body: messages.listing(
                self._engine.find(Query(limit=20)), datetime.now(UTC)
            ),
            "status": lambda asked, _body: messages.status(
                self._engine.get(asked.words.name), datetime.now(UTC), self._poller.trouble
            ),
            "stop": lambda asked, body: act.stop(asked.words.name, _user(body)[1]),
            "extend": lambda asked, body: act.extend(asked.words, _user(body)[1]),
            "parallel": lambda asked, body: act.set_parallel(asked.words, _user(body)[1]),
            "pause": lambda asked, body: act.pause(asked.words.name, _user(body)[1]),
            "resume": lambda asked, body: act.resume(asked.words.name, _user(body)[1]),
            "retry": lambda asked, body: act.retry(asked.words, _user(body)[1]),
            "logs": lambda asked, _body: act.logs(asked.words),
            "watch": lambda asked, body: act.watch(asked.words, _channel(body), *_user(body)),
        }

    def _best(self, text: str, respond: Respond) -> None:
        self.commands.add("best")
        query = command.parse_best(text)
        found = self._engine.find(Query(text=query, limit=20))
        known = found or self._engine.find(Query(limit=20))
        links = {e.name: link for e in found[:5] if (link := self._permalink(e))}
        _answer(respond, messages.best(found, query, links, datetime.now(UTC), known=known))

    def start(self, wanted: TuneSpec, body: Mapping[str, Any], *, uid: str) -> Experiment:
        """Check, record, root message, Experiment; returns once it exists.

        Raises:
            SpecError: the engine refuses the spec. EngineError: it, or Slack, cannot do it.
        """
        refused = self._engine.check(wanted, _channel(body))
        if refused:
            if (known := self._known(wanted.name)) and known.record.uid == uid:
                return known  # the same form, delivered twice: it is in its own way
            raise SpecError.of(refused)
        user, name = _user(body)
        record = Record(
            uid=uid, spec=wanted, created=datetime.now(UTC),
            requested_by=user, requested_by_name=name, channel=_channel(body),
        )  # fmt: skip
        self._engine.save(record)
        self._poller.tell(wanted.name)
        return self._engine.get(wanted.name)

    def _known(self, name: str) -> Experiment | None:
        try:
            return self._engine.get(name)
        except NotFoundError:
            return None

    # The form

    def _open_form(self, body: Mapping[str, Any]) -> None:
        self.commands.add("form")
        answer = self._client.views_open(
            trigger_id=body["trigger_id"], view=modal.loading()
        )  # at once: the trigger is dying
        view_id = answer["view"]["id"]
        context = modal.FormContext(channel=_channel(body), user=_user(body)[0])
        banner = ""
        data: Mapping[str, Any] = {}
        try:
            asked = command.parse_tune(str(body.get("text") or ""), read_file=self._read_file)
            data = asked.data
        except command.LineError as error:
            data = error.data  # what could be read stays
            banner = " ".join(str(each) for each in error.all)
        view = modal.view(data, context=context, banner=banner)
        self._client.views_update(view_id=view_id, view=view)

    def show_sections(self, body: Mapping[str, Any]) -> None:
        """More or fewer sections of the form; what was typed stays."""
        self._pool.submit(self._guarded, None, "", self._show_sections, body)

    def _show_sections(self, body: Mapping[str, Any]) -> None:
        view = body["view"]
        try:
            self._client.views_update(
                view_id=view["id"], hash=view["hash"], view=modal.with_sections(view)
            )
        except SlackApiError as error:
            if error.response.get("error") not in ("hash_conflict", "not_found"):
                raise
            log.info("a later click counts (%s)", error.response["error"])

    def submitted(self, wanted: TuneSpec, body: Mapping[str, Any]) -> None:
        """A form that says Checking… becomes Started with a link, or the form again."""
        self._pool.submit(self._guarded, None, "", self._submitted, wanted, body)

    def _submitted(self, wanted: TuneSpec, body: Mapping[str, Any]) -> None:
        self.commands.add("submit")
        view = body["view"]
        try:
            # The view's id is the record's: pressing twice starts once.
            started = self.start(wanted, body, uid=view["id"])
            after = modal.started(started.name, self._permalink(started))
        except TuneError as error:
            self.refusals.add()
            after = modal.again(view, error)
        self._show(view["id"], after, body)

    def _show(self, view_id: str, view: Mapping[str, Any], body: Mapping[str, Any]) -> None:
        try:
            self._client.views_update(view_id=view_id, view=dict(view))
        except SlackApiError as error:
            # The form was closed meanwhile: the thread speaks for itself, a refusal does not.
            log.info("the form is gone (%s)", error.response.get("error"))
            if view.get("callback_id") == FORM:
                text = modal.banner_of(view)
                self._client.chat_postEphemeral(
                    channel=_channel(body), user=_user(body)[0], text=text
                )

    # Buttons

    def act(self, body: Mapping[str, Any], respond: Respond) -> None:
        """A button of the card: its value is the Experiment's name."""
        self._pool.submit(self._guarded, respond, "", self._act, body, respond)

    def _act(self, body: Mapping[str, Any], respond: Respond) -> None:
        action = body["actions"][0]
        self.commands.add(action["action_id"])
        name = action["value"]
        if action["action_id"] == STOP:
            self._actions.stop(name, _user(body)[1])  # the card and the thread say it
            return
        experiment = self._engine.get(name)
        shown = messages.trials(experiment, datetime.now(UTC))
        thread = experiment.record.thread
        self._client.chat_postEphemeral(
            channel=body["channel"]["id"], user=_user(body)[0],
            thread_ts=thread.ts if thread else None, text=shown.text, blocks=list(shown.blocks),
        )  # fmt: skip

    # Shared

    def _permalink(self, experiment: Experiment) -> str | None:
        thread = experiment.record.thread
        if thread is None:
            return None
        try:
            answer = self._client.chat_getPermalink(channel=thread.channel, message_ts=thread.ts)
        except SlackApiError as error:
            log.info("no link to %s: %s", experiment.name, error.response.get("error"))
            return None
        # With the thread's address the link opens the thread, not just the channel.
        return f"{answer['permalink']}?thread_ts={thread.ts}&cid={thread.channel}"

    def _guarded(
        self, respond: Respond | None, typed: str, work: Callable[..., None], *arguments: Any
    ) -> None:
        try:
            work(*arguments)
        except TuneError as error:
            self.refusals.add()
            log.info("refused: %s", error)
            if respond is not None:
                _answer(respond, messages.refusal(error, typed))
        except Exception:
            self.errors.add()
            reference = secrets.token_hex(3)
            log.exception("reference %s", reference)
            if respond is not None:
                respond(
                    f":x: That broke on my side, reference `{reference}`: it is in my log, "
                    "and nothing else was changed. Try again, or show the reference to whoever "
                    "runs me."
                )


def _answer(respond: Respond, message: Message) -> None:
    respond(text=message.text, blocks=list(message.blocks))


def _user(body: Mapping[str, Any]) -> tuple[str, str]:
    """(id, name) of whoever acted, in a command or in an interaction."""
    if "user_id" in body:
        return str(body["user_id"]), str(body.get("user_name") or body["user_id"])
    user = body["user"]
    return str(user["id"]), str(user.get("username") or user.get("name") or user["id"])


def _channel(body: Mapping[str, Any]) -> str:
    if "channel_id" in body:
        return str(body["channel_id"])
    return modal.context_of(body["view"]).channel


def _read_file(path: str) -> str:
    try:
        return Path(path).expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise NotFoundError(
            f"`{path}` cannot be read: {error}.", field="objective_source"
        ) from error
