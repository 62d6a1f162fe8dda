"""The listeners: each acknowledges and hands over; nothing else happens before an ack."""

from __future__ import annotations

import logging
import re
from typing import Any

from slack_bolt import Ack, App
from slack_sdk import WebClient

from bot.errors import SpecError
from bot.slack import modal
from bot.slack.blocks import FORM, FORM_REBUILDS, SHOW_TRIALS, STOP
from bot.slack.conversation import Conversation


def build_app(client: WebClient, conversation: Conversation) -> App:
    """The Bolt app. It calls auth.test here, once; no request asks again.

    With `process_before_response` Bolt does not poll for the ack (10 ms each); the price is that
    listeners must be short, and these are.
    """
    # NB: Bolt gives its own loggers the level of this one, and tells of every connection at INFO.
    log = logging.getLogger(__name__)
    log.setLevel(max(logging.WARNING, log.getEffectiveLevel()))
    app = App(client=client, process_before_response=True, logger=log)

    @app.command("/katib-tune")
    def tune(ack: Ack, body: dict[str, Any], respond: Any) -> None:
        ack()
        conversation.tune(body, respond)

    @app.command("/katib-best")
    def best(ack: Ack, body: dict[str, Any], respond: Any) -> None:
        ack()
        conversation.best(body, respond)

    @app.action(re.compile("|".join(FORM_REBUILDS)))
    def sections(ack: Ack, body: dict[str, Any]) -> None:
        ack()
        conversation.show_sections(body)

    @app.action(re.compile(f"{STOP}|{SHOW_TRIALS}"))
    def act(ack: Ack, body: dict[str, Any], respond: Any) -> None:
        ack()
        conversation.act(body, respond)

    @app.action(re.compile(".*"))
    def nothing(ack: Ack) -> None:
        ack()  # a link button, or a button of an older message

    @app.view(FORM)
    def submitted(ack: Ack, body: dict[str, Any], view: dict[str, Any]) -> None:
        try:
            wanted = modal.read_spec(view)
        except SpecError as error:
            errors = modal.field_errors(error, view)
            if errors:
                ack(response_action="errors", errors=errors)
            else:
                ack(response_action="update", view=modal.again(view, error))
            return
        ack(response_action="update", view=modal.checking())
        conversation.submitted(wanted, body)

    return app
