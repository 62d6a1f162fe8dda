"""Pods that really run: their containers as processes of this machine.

Every job has an address 127.0.0.N and a port of its own in the place of its host names and of
port 23456; volumes are folders (a claim's lasts as long as the node), images are this environment.
"""

from __future__ import annotations

import signal
import subprocess
import tempfile
import threading
from collections.abc import Generator, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from tests.cluster.api import Api
from tests.cluster.collector import Collector
from tests.cluster.node_play import LAST_RESTART_S, bind, klog
from tests.cluster.node_processes import (
    Attempt,
    Program,
    free_port,
    launch,
    send,
    shown_code,
    stop_early,
)
from tests.cluster.objects import now
from tests.cluster.operator_pods import PREFIX, WAITER
from tests.cluster.pod_environment import ConfigError, Places, Process, places, process
from tests.cluster.pod_logs import Logs
from tests.cluster.pod_status import State, running, status, terminated, waiting
from tests.cluster.recordings import PodFacts
from tests.cluster.resources import CLAIMS, PODS, Json, key_of
from tests.cluster.sidecar import COLLECTOR, COMPLETED, LOGGER, metrics_path

LOOK_S = 0.05
KILL_AFTER_S = 5.0
FIRST_RESTART_S = 0.5
# Where the trainer writes in its container, which here would be the same for all pods.
PRIVATE = ("/tmp/trial", "/tmp/datasets")
PORT_VARIABLES = ("MASTER_PORT", "PET_MASTER_PORT")


class RealPods:
    """Starts, watches and ends processes. `stop` ends all and removes the folders."""

    def __init__(self, api: Api, logs: Logs, collector: Collector) -> None:
        self._api = api
        self._logs = logs
        self._collector = collector
        self._root = tempfile.TemporaryDirectory(prefix="node-")
        self._addresses: dict[tuple[str, str], tuple[str, int]] = {}
        self._programs: dict[str, list[Program]] = {}
        self._ended: set[str] = set()
        self._lock = threading.Lock()

    def end(self, uid: str) -> None:
        """The pod is deleted: its processes get TERM, and KILL if that does not do."""
        with self._lock:
            self._ended.add(uid)
            programs = self._programs.pop(uid, [])
        for program in programs:
            send(program, signal.SIGTERM)
        for program in programs:
            try:
                program.process.wait(KILL_AFTER_S)
            except subprocess.TimeoutExpired:
                send(program, signal.SIGKILL)
                program.process.wait()

    def stop(self) -> None:
        for uid in list(self._programs):
            self.end(uid)
        self._root.cleanup()

    def life(self, pod: Json, facts: PodFacts, node: str) -> Iterator[float]:
        """The steps of a pod's life; yields how many seconds to wait for the next."""
        missing = self._missing_claim(pod)
        while missing:
            yield 0.5
            missing = self._missing_claim(pod)
        bind(self._api, pod, node)
        restarts = 0
        while True:
            code = yield from self._attempt(pod, facts, restarts)
            if code == 0 or pod["spec"].get("restartPolicy") == "Never":
                return
            restarts += 1
            yield min(FIRST_RESTART_S * 2 ** (restarts - 1), LAST_RESTART_S)

    def _attempt(self, pod: Json, facts: PodFacts, restarts: int) -> Generator[float, None, int]:
        where = self._places(pod)
        try:
            code = yield from self._initialise(pod, where)
            if code:
                return self._init_failed(pod, code, restarts)
            attempt = self._start(pod, facts, where)
        except ConfigError as error:
            names = [one["name"] for one in pod["spec"]["containers"]]
            state = waiting("CreateContainerConfigError", str(error))
            self._patch(pod, status(pod, dict.fromkeys(names, state), restarts=restarts))
            return 1
        states: dict[str, State] = {one["name"]: running() for one in pod["spec"]["containers"]}
        self._patch(pod, status(pod, states, restarts=restarts))
        while any(one.process.poll() is None for one in attempt.programs.values()):
            self._read_metrics(pod, facts, attempt)
            yield LOOK_S
        for program in attempt.programs.values():
            program.pump.join()
        self._read_metrics(pod, facts, attempt)
        return self._finish(pod, facts, attempt, restarts)

    def _initialise(self, pod: Json, where: Places) -> Generator[float, None, int]:
        """The init containers, one after the other; the exit code of the first that fails."""
        inits = pod["spec"].get("initContainers") or ()
        for container in inits:
            if container["name"] == WAITER:
                while not self._master_runs(pod):
                    yield LOOK_S
                continue
            states = {one["name"]: waiting("PodInitializing") for one in pod["spec"]["containers"]}
            self._patch(pod, status(pod, states, initialised=False))
            program = self._launch(pod, container, where)
            while program.process.poll() is None:
                yield LOOK_S
            program.pump.join()
            program.log.close()
            if program.process.returncode:
                return program.process.returncode
        return 0

    def _master_runs(self, pod: Json) -> bool:
        """What the workers' init container waits for: the Master's name, there once it is ready."""
        job = pod["metadata"]["labels"][f"{PREFIX}job-name"]
        master = self._api.find(PODS, key_of(pod)[0], f"{job}-master-0") or {}
        return bool(master.get("status", {}).get("phase", "Pending") != "Pending")

    def _init_failed(self, pod: Json, code: int, restarts: int) -> int:
        states = {one["name"]: waiting("PodInitializing") for one in pod["spec"]["containers"]}
        changed = status(pod, states, restarts=restarts, initialised=False)
        changed["initContainerStatuses"][-1]["state"] = terminated(shown_code(code), now())
        if pod["spec"].get("restartPolicy") == "Never":
            changed["phase"] = "Failed"
        self._patch(pod, changed)
        return code

    def _start(self, pod: Json, facts: PodFacts, where: Places) -> Attempt:
        attempt = Attempt({}, where)
        names = {one["name"] for one in pod["spec"]["containers"]}
        if LOGGER in names and facts.trial is not None:
            collecting = facts.trial["spec"]["metricsCollector"]
            attempt.metrics = Path(where.here(metrics_path(collecting)))
            attempt.metrics.unlink(missing_ok=True)
            self._logs.begin((*key_of(pod), LOGGER))
        for one in pod["spec"]["containers"]:
            if one["name"] not in (LOGGER, COLLECTOR):
                attempt.programs[one["name"]] = self._launch(pod, one, where)
        return attempt

    def _launch(self, pod: Json, container: Json, where: Places) -> Program:
        _, port = self._address(pod)
        extra = dict.fromkeys(PORT_VARIABLES, str(port))
        home = self._folder("pods", pod["metadata"]["uid"], container["name"])
        made: Process = process(self._api, pod, container, where, extra, home)
        program = launch(made, self._logs.begin((*key_of(pod), container["name"])))
        with self._lock:
            self._programs.setdefault(pod["metadata"]["uid"], []).append(program)
            late = pod["metadata"]["uid"] in self._ended
        if late:  # deleted while it was being started
            self.end(pod["metadata"]["uid"])
        return program

    def _read_metrics(self, pod: Json, facts: PodFacts, attempt: Attempt) -> None:
        """New whole lines of the metrics file: into the sidecar's log, and past the stop rules."""
        if attempt.metrics is None or not attempt.metrics.exists():
            return
        with attempt.metrics.open("rb") as file:
            file.seek(attempt.offset)
            data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        attempt.offset += len(whole)
        log = self._logs.current((*key_of(pod), LOGGER))
        for line in whole.decode("utf-8", "replace").splitlines():
            attempt.lines.append(line)
            log.append(klog(line))
            if not attempt.stopped and self._collector.stops(facts.trial, line):
                attempt.stopped = True
                stop_early(attempt)

    def _finish(self, pod: Json, facts: PodFacts, attempt: Attempt, restarts: int) -> int:
        codes = {name: shown_code(one.process.returncode) for name, one in attempt.programs.items()}
        code = max(codes.values(), default=0)
        for program in attempt.programs.values():
            program.log.close()
        side = self._collect(facts, attempt, code)
        states: dict[str, State] = {}
        for container in pod["spec"]["containers"]:
            ended = codes.get(container["name"], side)
            states[container["name"]] = terminated(ended, attempt.began)
        if LOGGER in states:
            self._logs.current((*key_of(pod), LOGGER)).close()
        with self._lock:
            self._programs.pop(pod["metadata"]["uid"], None)
        if (code or side) and pod["spec"].get("restartPolicy") != "Never":
            text = "back-off restarting failed container"
            later = dict.fromkeys(states, waiting("CrashLoopBackOff", text))
            self._patch(pod, status(pod, later, restarts=restarts + 1, last=states))
        else:
            self._patch(pod, status(pod, states, restarts=restarts))
        return code or side

    def _collect(self, facts: PodFacts, attempt: Attempt, code: int) -> int:
        """The collector believes the marker file that the wrapped command leaves."""
        if attempt.metrics is not None and code == 0 and not attempt.stopped:
            marks = [path.read_text().strip() for path in attempt.metrics.parent.glob("*.pid")]
            code = 0 if COMPLETED in marks else 1
        texts = attempt.lines
        if attempt.metrics is None:
            texts = [text for one in attempt.programs.values() for _, text in one.log.lines]
        return self._collector.store(facts, texts, code, stopped=attempt.stopped)

    def _places(self, pod: Json) -> Places:
        namespace, uid = pod["metadata"]["namespace"], pod["metadata"]["uid"]
        volumes: dict[str, Path] = {}
        for volume in pod["spec"].get("volumes") or ():
            claim = (volume.get("persistentVolumeClaim") or {}).get("claimName")
            if claim:
                volumes[volume["name"]] = self._folder("claims", namespace, claim)
            elif "emptyDir" in volume:
                volumes[volume["name"]] = self._folder("pods", uid, "volumes", volume["name"])
        address, _ = self._address(pod)
        mapped = places(pod, volumes, self._names(pod, address))
        private = {path: self._folder("pods", uid, path.lstrip("/")) for path in PRIVATE}
        return replace(mapped, paths={**private, **mapped.paths})

    def _names(self, pod: Json, address: str) -> Mapping[str, str]:
        labels = pod["metadata"].get("labels", {})
        job = labels.get(f"{PREFIX}job-name")
        return {f"{job}-master-0": address, f"{job}-worker-0": address} if job else {}

    def _address(self, pod: Json) -> tuple[str, int]:
        """The address and the free port of a pod's job."""
        labels = pod["metadata"].get("labels", {})
        job = (pod["metadata"]["namespace"], labels.get(f"{PREFIX}job-name", key_of(pod)[1]))
        with self._lock:
            if job not in self._addresses:
                address = f"127.0.0.{2 + len(self._addresses) % 250}"
                self._addresses[job] = (address, free_port(address))
            return self._addresses[job]

    def _folder(self, *parts: str) -> Path:
        made = Path(self._root.name, *parts)
        made.mkdir(parents=True, exist_ok=True)
        return made

    def _missing_claim(self, pod: Json) -> str | None:
        namespace = pod["metadata"]["namespace"]
        for volume in pod["spec"].get("volumes") or ():
            claim = (volume.get("persistentVolumeClaim") or {}).get("claimName")
            if claim and self._api.find(CLAIMS, namespace, claim) is None:
                return str(claim)
        return None

    def _patch(self, pod: Json, changed: Json) -> None:
        self._api.patch(PODS, *key_of(pod), {"status": changed}, "status")
