"""Katib's Push collector: metrics go to its DB manager when they are measured, not by way of a log.

What `report_metrics()` of Katib's SDK does, the same message to the same gRPC method, without the
SDK, which would bring the Kubernetes client and a second set of trainer libraries. A DB manager
that does not answer does not stop the training: what it lacks is sent again with the next metrics,
and at the end, which is when the trial fails if Katib still does not have them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from trainer.errors import TrialError, one_line
from trainer.metrics import timestamp

ADDRESS = "katib-db-manager.kubeflow:6789"
TRIAL_NAME = "KATIB_TRIAL_NAME"  # Katib's webhook puts it into the trial's container.
METHOD = "/api.v1.beta1.DBManager/ReportObservationLog"
TIMEOUT_S = 10.0
TRY_AGAIN_AFTER_S = 30.0
PAUSES_AT_THE_END_S = (0.0, 2.0, 8.0, 20.0)

# Sends one message; an OSError says why it did not arrive.
Send = Callable[[bytes], None]
Measured = tuple[str, str, str]  # time, metric, value


class Pusher:
    """Sends what is measured, in order; keeps what did not arrive."""

    def __init__(self, trial: str, send: Send, warn: Callable[[str], None]) -> None:
        self._trial = trial
        self._send = send
        self._warn = warn
        self._waiting: list[Measured] = []
        self._not_before = 0.0

    def push(self, moment: datetime, metrics: Mapping[str, float]) -> None:
        """Sends the metrics, and before them what is waiting; never fails."""
        when = timestamp(moment)
        self._waiting += [(when, name, f"{value:.8g}") for name, value in metrics.items()]
        if time.monotonic() < self._not_before:
            return
        try:
            self._send_all()
        except OSError as error:
            if not self._not_before:
                self._warn(f"Katib's DB manager took no metrics and is tried again: {error}")
            self._not_before = time.monotonic() + TRY_AGAIN_AFTER_S

    def finish(self, pauses_s: Sequence[float] = PAUSES_AT_THE_END_S) -> None:
        """Sends what is still waiting; NotPushed if that does not succeed."""
        for pause in pauses_s:
            time.sleep(pause)
            try:
                return self._send_all()
            except OSError as error:
                last = error
        raise TrialError(
            "NotPushed",
            f"The trial finished, but Katib's DB manager did not take its metrics: {last} Check "
            "the address behind --push-metrics; the metrics are in result.json.",
        )

    def _send_all(self) -> None:
        if self._waiting:
            self._send(message(self._trial, self._waiting))
            self._waiting = []


def connected(
    address: str, warn: Callable[[str], None], environment: Mapping[str, str] = os.environ
) -> Pusher:
    """A pusher for this trial; BadParameter if there is none to push for, or no gRPC."""
    if not (trial := environment.get(TRIAL_NAME)):
        raise TrialError(
            "BadParameter",
            f"--push-metrics is for trials of Katib, whose name is in {TRIAL_NAME}; here it is not "
            "set. Leave the flag out.",
        )
    return Pusher(trial, _sender(address), warn)


def _sender(address: str) -> Send:
    try:
        import grpc
    except ImportError as error:
        raise TrialError(
            "BadParameter", "--push-metrics needs gRPC: install it with `pip install grpcio`."
        ) from error
    # NB: the address is the cluster's own; a proxy for the way out does not know it.
    channel = grpc.insecure_channel(address, options=[("grpc.enable_http_proxy", 0)])
    call = channel.unary_unary(METHOD)

    def send(content: bytes) -> None:
        try:
            call(content, timeout=TIMEOUT_S)
        except grpc.RpcError as error:
            said = f"{address}: {error.code().name}, {one_line(error.details() or '', 200)}."
            raise OSError(said) from error

    return send


def message(trial: str, measured: Sequence[Measured]) -> bytes:
    """A ReportObservationLogRequest of Katib's api.proto, as protobuf has it on the wire."""
    logs = (
        _field(1, when.encode()) + _field(2, _field(1, name.encode()) + _field(2, value.encode()))
        for when, name, value in measured
    )
    return _field(1, trial.encode()) + _field(2, b"".join(_field(1, log) for log in logs))


def _field(number: int, content: bytes) -> bytes:
    """A field that is text or a message: its number and kind, its length, its content."""
    length, size = bytearray(), len(content)
    while size > 0x7F:
        length.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes([number << 3 | 2, *length, size]) + content
