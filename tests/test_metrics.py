"""Counts in the text that Prometheus reads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from bot.metrics import Metric, Tally, gauge, text


def test_a_gauge_and_a_labelled_counter_are_written_as_prometheus_reads_them() -> None:
    tally = Tally("sent_total", "What was sent.", "method", "reason")
    tally.add("post", "ok")
    tally.add("post", "ok")
    tally.add("delete", 'a "b" \\ c\nd')
    assert text([gauge("open", "How many.", 3), tally.metric()]) == (
        "# HELP open How many.\n"
        "# TYPE open gauge\n"
        "open 3.0\n"
        "# HELP sent_total What was sent.\n"
        "# TYPE sent_total counter\n"
        'sent_total{method="delete",reason="a \\"b\\" \\\\ c\\nd"} 1.0\n'
        'sent_total{method="post",reason="ok"} 2.0\n'
    )


def test_a_counter_without_labels_is_there_before_anything_happened() -> None:
    assert text([Tally("errors_total", "E.").metric()]).endswith("\nerrors_total 0.0\n")


def test_a_value_too_few_is_refused() -> None:
    with pytest.raises(ValueError, match="sent_total has the labels"):
        Tally("sent_total", "S.", "method").add()


def test_nothing_is_lost_when_many_threads_count() -> None:
    tally = Tally("n_total", "N.", "who")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: [tally.add("all", by=0.5) for _ in range(1000)], range(8)))
    assert tally.metric() == Metric("counter", "n_total", "N.", {("all",): 4000.0}, ("who",))
