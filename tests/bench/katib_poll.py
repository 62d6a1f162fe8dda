"""What it costs to follow 1,000 Experiments of 10 Trials each: prints a table, judges nothing.

Every figure stands beside its floor, measured in the same run: the same bytes read by bare urllib3
and decoded by msgspec into the same values, nothing kept. Run it from the repository's root with
`python -m tests.bench.katib_poll`.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import urllib3

from bot.engines.katib_watch import PAGE, Event, Mirror
from bot.engines.katib_wire import KatibExperiment, KatibTrial, Listed
from bot.engines.kube import Kube
from tests.bench.katib_cluster import EXPERIMENT_PATH, TRIAL_PATH, cluster

KINDS: dict[str, Any] = {EXPERIMENT_PATH: KatibExperiment, TRIAL_PATH: KatibTrial}
TICK_S = 0.001
WAIT_S = 120.0


@dataclass
class Row:
    """One line of the table."""

    what: str
    measured: str
    floor: str = ""
    ratio: str = ""
    target: str = ""

    def __str__(self) -> str:
        return f"| {self.what} | {self.measured} | {self.floor} | {self.ratio} | {self.target} |"


@dataclass
class Bench:
    """The server's address, how often is measured, and the calls that were made."""

    url: str
    rounds: int
    events: int
    idle_s: float
    kube: Kube
    calls: list[str] = field(default_factory=list)
    pool: urllib3.PoolManager = field(default_factory=urllib3.PoolManager)


def cpu_s(act: Callable[[], object]) -> float:
    """CPU seconds of the whole process while `act` runs."""
    begun = time.process_time()
    act()
    return time.process_time() - begun


def compared(what: str, ours: list[float], floor: list[float], unit_s: float, unit: str) -> Row:
    """Medians in a unit, and their ratio."""
    most, least = statistics.median(ours), statistics.median(floor)
    return Row(
        what, f"{most / unit_s:.1f} {unit}", f"{least / unit_s:.1f} {unit}",
        f"{most / least:.2f}", "2",
    )  # fmt: skip


# --- a whole list ---------------------------------------------------------------------------------


@contextlib.contextmanager
def mirrors(bench: Bench, **more: Any) -> Iterator[list[Mirror[Any]]]:
    """Mirrors of both kinds, listed."""
    running = [Mirror(bench.kube, path, kind, **more) for path, kind in KINDS.items()]
    for mirror in running:
        mirror.start()
    for mirror in running:
        assert mirror.wait(WAIT_S), mirror.error
    yield running
    for mirror in running:
        mirror.close()


def list_by_mirror(bench: Bench) -> None:
    with mirrors(bench):
        pass


def list_at_the_floor(bench: Bench) -> None:
    for path, kind in KINDS.items():
        decoder = msgspec.json.Decoder(Listed[kind])
        follow = ""
        while True:
            url = f"{bench.url}{path}?limit={PAGE}&continue={follow or 0}"
            page = decoder.decode(bench.pool.request("GET", url).data)
            follow = page.metadata.continue_
            if not follow:
                break


def lists(bench: Bench) -> Iterator[Row]:
    list_by_mirror(bench)
    list_at_the_floor(bench)
    ours, floor = [], []
    for _ in range(bench.rounds):
        ours.append(cpu_s(lambda: list_by_mirror(bench)))
        floor.append(cpu_s(lambda: list_at_the_floor(bench)))
    yield compared("one list of everything, CPU", ours, floor, 1e-3, "ms")


# --- how long others wait -------------------------------------------------------------------------


class Ticker(threading.Thread):
    """Wakes each millisecond; the longest time between two of its wakings is a hold of the GIL.

    `cpu_s` counts only the time in which this process had a CPU: other programs do not lengthen it.
    """

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.wall_s = self.cpu_s = 0.0
        self._stopping = threading.Event()

    def run(self) -> None:
        wall, cpu = time.monotonic(), time.process_time()
        while not self._stopping.is_set():
            time.sleep(TICK_S)
            now, used = time.monotonic(), time.process_time()
            self.wall_s = max(self.wall_s, now - wall)
            self.cpu_s = max(self.cpu_s, used - cpu)
            wall, cpu = now, used

    def stop(self) -> None:
        self._stopping.set()
        self.join()


def longest_hold(act: Callable[[], object]) -> tuple[float, float]:
    """The longest gap while `act` runs: seconds of wall time, and of this process's CPU time."""
    ticker = Ticker()
    ticker.start()
    act()
    ticker.stop()
    return ticker.wall_s, ticker.cpu_s


def holds(bench: Bench) -> Iterator[Row]:
    seen = [longest_hold(lambda: list_by_mirror(bench)) for _ in range(bench.rounds)]
    idle, _ = longest_hold(lambda: time.sleep(1))
    wall, cpu = max(wall for wall, _ in seen), max(cpu for _, cpu in seen)
    yield Row("longest hold of the GIL in a list, CPU time", f"{cpu * 1e3:.1f} ms", "", "", "50 ms")
    yield Row(
        "the same on the wall's clock (floor: nothing runs)",
        f"{wall * 1e3:.1f} ms", f"{idle * 1e3:.1f} ms",
    )  # fmt: skip


# --- changes --------------------------------------------------------------------------------------


def send(bench: Bench, path: str, count: int) -> str:
    """So many changes go down every watch of a path; the last one's version."""
    return bench.pool.request("POST", f"{bench.url}{path}?count={count}").data.decode()


class Last:
    """The version of the newest object that came."""

    def __init__(self) -> None:
        self.version = ""

    def changed(self, before: Any, after: Any) -> None:
        self.version = after.metadata.resource_version

    def begin(self, bench: Bench, path: str) -> None:
        """Send changes until one comes: then the watch is open."""
        begun = self.version
        while self.version == begun:
            send(bench, path, 1)
            time.sleep(0.05)

    def wait_for(self, version: str) -> None:
        while self.version != version:
            time.sleep(0.005)

    def cpu_s(self, bench: Bench, path: str) -> float:
        """CPU seconds for each of many changes, from sending to having seen the last."""
        self.begin(bench, path)
        return cpu_s(lambda: self.wait_for(send(bench, path, bench.events))) / bench.events


def changes_by_mirror(bench: Bench, path: str) -> float:
    last = Last()
    mirror = Mirror(bench.kube, path, KINDS[path], changed=last.changed)
    mirror.start()
    assert mirror.wait(WAIT_S), mirror.error
    used = last.cpu_s(bench, path)
    mirror.close()
    return used


def changes_at_the_floor(bench: Bench, path: str) -> float:
    """Lines split from a bare stream and decoded, one by one."""
    decoder = msgspec.json.Decoder(Event[KINDS[path]])
    response = bench.pool.request("GET", f"{bench.url}{path}?watch=true", preload_content=False)
    last = Last()

    def follow() -> None:
        rest = b""
        with contextlib.suppress(urllib3.exceptions.HTTPError):
            for chunk in response.stream(65536):
                *whole, rest = (rest + chunk).split(b"\n")
                for line in whole:
                    last.version = decoder.decode(line).object.metadata.resource_version

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    used = last.cpu_s(bench, path)
    response.shutdown()
    thread.join()
    response.close()
    return used


def changes(bench: Bench) -> Iterator[Row]:
    for path, what in ((EXPERIMENT_PATH, "an Experiment"), (TRIAL_PATH, "a Trial")):
        ours, floor = [], []
        for _ in range(bench.rounds):
            ours.append(changes_by_mirror(bench, path))
            floor.append(changes_at_the_floor(bench, path))
        yield compared(f"one change of {what}, CPU", ours, floor, 1e-6, "us")


# --- quiet ----------------------------------------------------------------------------------------


def quiet(bench: Bench) -> Iterator[Row]:
    with mirrors(bench):
        time.sleep(1)
        bench.calls.clear()
        used = cpu_s(lambda: time.sleep(bench.idle_s))
        calls, asked = len(bench.calls), bench.calls.count("list")
    seconds = f"{bench.idle_s:g} s in which nothing changes"
    yield Row(f"lists in {seconds}", str(asked), "", "", "0")
    yield Row(f"API calls in {seconds}", str(calls), "", "", "0")
    yield Row(f"CPU in {seconds}", f"{used * 1e3:.1f} ms")


SECTIONS = (lists, holds, changes, quiet)


def kubeconfig(folder: Path, url: str) -> str:
    path = folder / "kubeconfig"
    path.write_text(
        json.dumps(
            {
                "clusters": [{"name": "bench", "cluster": {"server": url}}],
                "users": [],
                "contexts": [{"name": "bench", "context": {"cluster": "bench"}}],
                "current-context": "bench",
            }
        ),
        encoding="utf-8",
    )
    return str(path)


def processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return "unknown processor"


def sizes(bench: Bench) -> Iterator[str]:
    for path, kind in KINDS.items():
        body = bench.pool.request("GET", f"{bench.url}{path}").data
        count = len(msgspec.json.decode(body, type=Listed[kind]).items or ())
        yield f"{count} {kind.__name__}s of {len(body) / count / 1000:.1f} kB"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--experiments", type=int, default=1000)
    parser.add_argument("--trials", type=int, default=10, help="for each Experiment")
    parser.add_argument("--rounds", type=int, default=5, help="medians are of so many")
    parser.add_argument("--events", type=int, default=5000)
    parser.add_argument("--idle", type=float, default=20.0, help="seconds in which nothing changes")
    given = parser.parse_args()
    with (
        cluster(given.experiments, given.trials) as url,
        tempfile.TemporaryDirectory() as folder,
    ):
        calls: list[str] = []
        kube = Kube(
            kubeconfig=kubeconfig(Path(folder), url),
            on_call=lambda verb, path: calls.append(verb),
        )
        bench = Bench(url, given.rounds, given.events, given.idle, kube, calls)
        print(f"{datetime.now(UTC):%Y-%m-%d}, {processor()}; {', '.join(sizes(bench))}.\n")
        print("| What | Measured | Floor | Ratio | At most |\n|---|---|---|---|---|")
        for section in SECTIONS:
            for row in section(bench):
                print(row, flush=True)


if __name__ == "__main__":
    main()
