"""Datasets and models in S3-compatible storage: downloaded once into the cache, for trials to read.

The client is pyarrow's, which comes with `datasets`: boto3 needs python-dateutil below 3, and the
bot's Kubernetes client needs 3 or above. Keys come from where every S3 client looks for them, first
AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment.
"""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from pyarrow import fs

from trainer.defaults import new_folder
from trainer.errors import TrialError, one_line
from trainer.sources import NOT_FOUND, S3Place

CONNECT_TIMEOUT_S = 5
REQUEST_TIMEOUT_S = 60
ATTEMPTS = 3
PARALLEL_DOWNLOADS = 8
BESIDE = 5  # how many neighbours of a missing key are named
KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
_CODE = re.compile(r"AWS Error (\w+)")
_NAME = re.compile(r"ExceptionName: (\w+)")


@dataclass(frozen=True)
class Found:
    """What lies under a key: `path` and `size` in bytes of each object, `root` above them all."""

    root: str
    files: Sequence[fs.FileInfo]

    @property
    def size(self) -> int:
        return sum(file.size for file in self.files)


class Storage:
    """The bucket of one dataset or model. Every failure is a TrialError."""

    def __init__(self, place: S3Place) -> None:
        self._place = place
        self._check_keys()
        address = urlsplit(place.endpoint_url)
        if address.scheme not in ("http", "https") or not address.netloc or "@" in address.netloc:
            raise TrialError(
                "BadParameter",
                "--s3-endpoint-url is an address such as https://s3.example.com, without keys.",
            )
        self._files = fs.S3FileSystem(
            endpoint_override=address.netloc,
            scheme=address.scheme,
            region=place.region_name or os.environ.get("AWS_REGION") or "us-east-1",
            connect_timeout=CONNECT_TIMEOUT_S,
            request_timeout=REQUEST_TIMEOUT_S,
            retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=ATTEMPTS),
            tls_ca_file_path=os.environ.get("AWS_CA_BUNDLE")
            or ssl.get_default_verify_paths().cafile,
        )

    def find(self) -> Found:
        """The object of exactly this key, or everything in the folder of this name."""
        key = self._place.file_key
        path = "/".join(filter(None, (self._place.bucket_name, key.strip("/"))))
        if not key.endswith("/") and (single := self._object(path)):
            return Found(path.rpartition("/")[0], (single,))
        try:
            listed = self._files.get_file_info(fs.FileSelector(path, recursive=True))
        except FileNotFoundError as error:
            raise self._nothing() from error
        except OSError as error:
            raise self._explained(error) from error
        files = [info for info in listed if info.type == fs.FileType.File]
        if not files:
            raise self._nothing()
        return Found(path, files)

    def download(self, found: Found, folder: Path) -> None:
        """Makes the objects the folder `folder`: all of them or, if one fails, none."""
        with new_folder(folder) as partial, ThreadPoolExecutor(PARALLEL_DOWNLOADS) as pool:
            # NB: list() waits for all, and raises what the first one raised that failed.
            list(pool.map(lambda file: self._copy(file, found.root, partial), found.files))

    def _copy(self, file: fs.FileInfo, root: str, folder: Path) -> None:
        inner = PurePosixPath(file.path.removeprefix(root).lstrip("/"))
        if ".." in inner.parts:
            raise TrialError(
                NOT_FOUND[self._place.noun],
                f"{self._place.uri}: the key {file.path!r} leaves its folder.",
            )
        target = folder / inner
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with (
                self._files.open_input_stream(file.path) as source,
                target.open("wb") as copy,
            ):
                while block := source.read(1 << 20):
                    copy.write(block)
        except OSError as error:
            if error.errno is not None and not isinstance(error, FileNotFoundError):
                raise  # the disk's
            raise self._explained(error) from error
        if (size := target.stat().st_size) != file.size:
            raise TrialError(
                NOT_FOUND[self._place.noun],
                f"{self._place.uri}: {inner} came with {size} of {file.size} bytes; fetch again.",
            )

    def _object(self, path: str) -> fs.FileInfo | None:
        try:
            info = self._files.get_file_info(path)
        except OSError:  # NB: what is wrong here, only the answer to a listing says in words.
            return None
        return info if info.type == fs.FileType.File else None

    def _nothing(self) -> TrialError:
        place = self._place
        parent = place.file_key.strip("/").rpartition("/")[0]
        names = self._names("/".join(filter(None, (place.bucket_name, parent))))
        where = f"{place.bucket_name}/{parent}" if parent else f"the bucket {place.bucket_name}"
        if not names:
            beside = f"{where} is empty." if not parent else f"there is nothing in {where}."
        else:
            more = f" and {len(names) - BESIDE} more" if len(names) > BESIDE else ""
            beside = f"{where} holds {', '.join(names[:BESIDE])}{more}."
        message = f"There is nothing under the key {place.file_key!r}: {beside}"
        return TrialError(NOT_FOUND[self._place.noun], message)

    def _names(self, folder: str) -> list[str]:
        try:
            listed = self._files.get_file_info(fs.FileSelector(folder, allow_not_found=True))
        except OSError:
            return []
        slash = {fs.FileType.Directory: "/"}
        return sorted(info.base_name + slash.get(info.type, "") for info in listed)

    def _check_keys(self) -> None:
        given = [name for name in KEYS if os.environ.get(name)]
        if len(given) == 1:
            other = next(name for name in KEYS if name not in given)
            raise TrialError(
                NOT_FOUND[self._place.noun],
                f"{given[0]} is set, but {other} is not: S3 needs both.",
            )

    def _explained(self, error: OSError) -> TrialError:
        place, text = self._place, str(error)
        found = _NAME.search(text) or _CODE.search(text)
        code = found[1].replace("_", "").upper() if found else ""
        if code == "NETWORKCONNECTION":
            # What follows is the HTTP library's own sentence, e.g. `Could not resolve host: …`.
            why = one_line(text.rpartition("Details: ")[2], 200)
            message = f"The storage at {place.endpoint_url} cannot be reached: {why}."
        elif code == "NOSUCHBUCKET":
            message = f"There is no bucket {place.bucket_name!r} at {place.endpoint_url}."
        elif code == "INVALIDACCESSKEYID":
            message = f"{place.endpoint_url} does not know this access key; check {KEYS[0]}."
        elif code == "SIGNATUREDOESNOTMATCH":
            message = f"The secret key is not that of the access key; check {KEYS[1]}."
        elif code == "ACCESSDENIED" and not os.environ.get(KEYS[0]):
            message = (
                f"{place.uri} is not public, and there are no keys for it: set {KEYS[0]} and "
                f"{KEYS[1]}; on a cluster name their Secret in s3_access_key and s3_secret_key."
            )
        elif code == "ACCESSDENIED":
            message = f"This access key may not list and read {place.uri}; ask its owner."
        else:
            # NB: of a wrong region, AWS says here which one it expects.
            said = one_line(text.partition(" Message: ")[2] or text, 200)
            message = f"{place.endpoint_url} did not give {place.uri}: {said}"
        return TrialError(NOT_FOUND[self._place.noun], message)
