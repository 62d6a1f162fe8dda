"""What `doctor` says of the trials' settings, and of a cluster that has nothing."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from bot.engines.katib_doctor import Served, examine, examine_trials
from bot.engines.kube import Kube
from bot.findings import Finding

IMAGE = "registry.example/katib-tune-trainer:0.1.0"


@pytest.mark.parametrize(
    ("image", "verdict", "said"),
    [
        ("registry.example:5000/trainer", "wrong", "has no tag"),
        ("registry.example:5000/trainer:latest", "wrong", "may be another one"),
        ("trainer", "wrong", "has no tag"),
        ("katib-tune-trainer:0.1.0", "note", "names no registry"),
        ("registry.example/trainer@sha256:abc", "ok", "The trainer image is"),
        (IMAGE, "ok", "The trainer image is"),
    ],
)
def test_an_image_is_judged_by_its_tag(image: str, verdict: str, said: str) -> None:
    _, found = examine_trials(image, None)
    assert (found.verdict, found.topic) == (verdict, "trials")
    assert image in found.sentence
    assert said in found.sentence


def test_a_template_is_summed_up(tmp_path: Path) -> None:
    path = tmp_path / "template.yaml"
    path.write_text("trial_kind: TrainJob\ngpu_resource: amd.com/gpu\n")
    found, _ = examine_trials(IMAGE, path)
    said = (
        f"The trial template {path} is used: trials are TrainJobs, and a GPU is called amd.com/gpu."
    )
    assert found == Finding("ok", "trials", said)


def test_without_a_file_there_is_a_template_too() -> None:
    found = next(examine_trials(IMAGE, None))
    assert found.verdict == "ok"
    assert found.sentence.startswith("My own trial template is used: trials are PyTorchJobs")


def test_a_template_that_cannot_be_read_is_wrong_and_named(tmp_path: Path) -> None:
    found, image = examine_trials(IMAGE, tmp_path / "gone.yaml")
    assert found.verdict == "wrong"
    assert "gone.yaml cannot be read" in found.sentence
    assert image.verdict == "ok"


class Bare(BaseHTTPRequestHandler):
    """An API server without any kind of Katib's, to an account that may do nothing."""

    def do_GET(self) -> None:
        if self.path == "/version":
            self._answer(200, {"gitVersion": "v1.33.1"})
        elif self.path.startswith("/apis/") and self.path.count("/") == 3:
            self._answer(404, None)
        else:
            self._answer(403, {"kind": "Status", "reason": "Forbidden", "message": "no"})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        if "selfsubjectaccessreviews" in self.path:
            self._answer(201, {"status": {"allowed": False}})
        else:
            self._answer(404, None)

    def _answer(self, status: int, body: object) -> None:
        data = b"404 page not found\n" if body is None else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[Kube]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Bare)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    config = {
        "current-context": "bare",
        "contexts": [{"name": "bare", "context": {"cluster": "bare", "user": "nobody"}}],
        "clusters": [
            {"name": "bare", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}
        ],
        "users": [{"name": "nobody", "user": {}}],
    }
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(config))
    kube = Kube(kubeconfig=str(path))
    yield kube
    kube.close()
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_cluster_without_katib_is_told_so_and_jobs_need_no_training_operator(bare: Kube) -> None:
    found = [each for each in examine(bare, Served(("team",), IMAGE)) if each.topic == "Katib"]
    assert [each.verdict for each in found] == ["wrong", "note"]
    assert found[0].sentence.startswith(
        "Katib is not installed here: the cluster does not serve experiments, suggestions, trials "
    )
    assert "Custom objectives run as Jobs and need none" in found[1].sentence


def test_a_kind_of_trial_that_the_template_names_has_to_be_served(
    bare: Kube, tmp_path: Path
) -> None:
    path = tmp_path / "template.yaml"
    path.write_text("trial_kind: PyTorchJob\n")
    found = [each for each in examine(bare, Served(("team",), IMAGE, path))]
    (wrong,) = [each for each in found if "The training operator is not installed" in each.sentence]
    assert wrong.verdict == "wrong"


def test_an_account_that_may_look_at_nothing_gets_each_lack_in_a_sentence(bare: Kube) -> None:
    found = list(examine(bare, Served(("team",), IMAGE, own_namespace="bots")))
    lacks = [each.sentence for each in found if each.topic == "access" and each.verdict == "wrong"]
    assert any("get, list, watch, create, patch or delete experiments" in each for each in lacks)
    assert lacks[-1].startswith(
        "The account may not get, create or update leases.coordination.k8s.io in the namespace bots"
    )
    assert [each.topic for each in found if each.verdict == "note"][:3] == [
        "Katib", "storage", "namespace",
    ]  # fmt: skip
