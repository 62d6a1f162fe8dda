"""The health server answers over HTTP what its probes say."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from bot.errors import TuneError
from bot.metrics import Metric, gauge
from bot.web import Probes, serving


@dataclass
class State:
    """What the probes say at the moment."""

    dead: str = ""
    unready: str = ""
    figures: list[Metric] = field(default_factory=list)


@pytest.fixture
def state() -> State:
    return State()


@pytest.fixture
def port(state: State) -> Iterator[int]:
    probes = Probes(lambda: state.dead, lambda: state.unready, lambda: state.figures)
    with serving(0, probes) as port:
        yield port


def get(port: int, path: str, method: str = "GET") -> tuple[int, str]:
    try:
        with urlopen(Request(f"http://127.0.0.1:{port}{path}", method=method), timeout=10) as got:
            return got.status, got.read().decode()
    except HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_all_is_well(port: int) -> None:
    assert get(port, "/healthz") == (200, "ok\n")
    assert get(port, "/readyz?verbose=1") == (200, "ok\n")


def test_what_is_wrong_is_said_and_is_a_503(port: int, state: State) -> None:
    state.dead, state.unready = "It stands still.", "Slack is not connected."
    assert get(port, "/healthz") == (503, "It stands still.\n")
    assert get(port, "/readyz") == (503, "Slack is not connected.\n")


def test_metrics_are_the_figures_of_this_moment(port: int, state: State) -> None:
    state.figures = [gauge("open", "How many.", 1)]
    assert "open 1.0\n" in get(port, "/metrics")[1]
    state.figures = [gauge("open", "How many.", 2)]
    assert "open 2.0\n" in get(port, "/metrics")[1]


def test_a_head_request_has_no_body(port: int) -> None:
    assert get(port, "/healthz", "HEAD") == (200, "")


def test_there_is_nothing_else(port: int) -> None:
    assert get(port, "/etc/passwd")[0] == 404
    assert get(port, "/healthz", "POST")[0] == 501


def test_a_probe_is_answered_while_another_client_says_nothing(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port)):
        assert get(port, "/healthz")[0] == 200


def test_a_port_that_is_taken_is_said_with_the_setting(port: int) -> None:
    with (
        pytest.raises(TuneError, match=f"port {port}.*KATIB_TUNE_HEALTH_PORT"),
        serving(port, Probes(str, str, list)),
    ):
        pass
