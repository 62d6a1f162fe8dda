"""Datasets in S3-compatible storage, from a real server with keys: fetched once, read offline."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from datasets import Dataset, DatasetDict

from tests.trainer import s3_server
from tests.trainer.conftest import Ended
from trainer import __main__ as program
from trainer import config, data, fetch, forecast, sources
from trainer.errors import TrialError
from trainer.sources import S3Place

Trainer = Callable[..., Ended]
Fetch = Callable[..., list[str]]


SERVERS = {"seaweedfs": s3_server.running, "moto": s3_server.moto}


@pytest.fixture(scope="module", params=SERVERS)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[s3_server.Server]:
    with SERVERS[request.param](tmp_path_factory.mktemp("s3")) as server:
        yield server


on_one_server = pytest.mark.parametrize("server", ["seaweedfs"], indirect=True, scope="module")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KATIB_TUNE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def keys(server: s3_server.Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in server.keys.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def fetched(server: s3_server.Server, cache: Path, keys: None) -> Fetch:
    """Fetches a key of the server's bucket in this process; returns what was said."""

    def run(
        key: str, *more: str, url: str = server.url, bucket: str = s3_server.BUCKET
    ) -> list[str]:
        said: list[str] = []
        args = config.fetch_parser().parse_args(["--model=.", *flags(url, key, bucket), *more])
        fetch.run(args, said.append)
        return said[-2:]

    return run


def flags(url: str, key: str, bucket: str = s3_server.BUCKET) -> list[str]:
    return [
        *(f"--s3-endpoint-url={url}", f"--s3-bucket-name={bucket}", f"--s3-file-key={key}"),
        "--s3-region-name=us-east-1",
    ]


def place(server: s3_server.Server, key: str) -> S3Place:
    return S3Place(server.url, s3_server.BUCKET, key, "us-east-1")


@on_one_server
def test_a_fetched_dataset_is_trained_on_without_the_storage(
    server: s3_server.Server, trainer: Trainer, tiny_bert: Path, reviews: Path, tmp_path: Path
) -> None:
    server.put("e2e/train.csv", reviews.read_bytes())
    env = {"KATIB_TUNE_CACHE": str(tmp_path / "cache")}
    where = flags(server.url, "e2e")
    trial = (
        *(f"--model-uri={tiny_bert}", *where, "--output-dir={out}", "--split=train[:64]"),
        '--training-parameters={"num_train_epochs": 1}',
    )
    early = trainer(*trial, env=env)
    assert early.code == 7
    assert "s3://reviews/e2e is not here yet" in early.last_words

    done = trainer("fetch", f"--model={tiny_bert}", *where, env={**env, **server.keys})
    assert done.code == 0, done.err
    assert "Dataset s3://reviews/e2e: downloading 0.0 MB, 1 object." in done.out
    server.remove("e2e/train.csv")
    ended = trainer(*trial, env=env)  # NB: without keys
    assert ended.code == 0, ended.err
    assert ended.result["rows"]["train"] == 52


def test_a_fetched_model_is_loaded_without_the_storage(
    server: s3_server.Server,
    cache: Path,
    keys: None,
    tiny_bert: Path,
    reviews: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server.put_folder("models/tiny", tiny_bert)
    server.put("models/tiny2/config.json", b"{}")
    uri = "s3://reviews/models/tiny"
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
    trial = ["--output-dir=out", f"--model-uri={uri}", f"--dataset={reviews}"]
    asked = config.read_config(config.trial_parser().parse_args(trial))
    with pytest.raises(TrialError) as caught:
        program.prepare(asked)
    assert caught.value.reason == "NotFetched"
    assert caught.value.message == (
        f"The model {uri} is not here yet: run `python -m trainer fetch` with the same --s3 flags "
        "and --model."
    )

    said: list[str] = []
    fetch_args = config.fetch_parser().parse_args([f"--model={uri}", f"--dataset={reviews}"])
    fetch.run(fetch_args, said.append)
    assert said[0].startswith(f"Model {uri}: downloading 0.") and "3 objects" not in said[0]
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    from trainer import model

    weights = model.find(asked)
    assert {file.name for file in weights.folder.iterdir()} == {
        file.name for file in tiny_bert.iterdir()
    }
    assert model.load_tokenizer(weights).pad_token == "[PAD]"
    size = (tiny_bert / "model.safetensors").stat().st_size
    assert forecast.of(asked).weights == pytest.approx(size / 1e6, rel=0.3)  # and LoRA
    said.clear()
    fetch.run(fetch_args, said.append)
    assert said[0].startswith(f"Model {uri} is here: ")


@pytest.mark.parametrize(
    ("uri", "url", "said"),
    [
        ("s3://reviews/models/none", "", "There is nothing under the key 'models/none': "),
        (
            "s3://reviews",
            "",
            "'s3://reviews' does not name a model in S3: write s3://BUCKET/FOLDER",
        ),
        ("s3://reviews/a", None, "The model s3://reviews/a needs the address of its storage: --s3"),
    ],
)
def test_a_model_that_is_not_in_s3_is_a_sentence(
    server: s3_server.Server, cache: Path, keys: None, uri: str, url: str | None, said: str
) -> None:
    place = [] if url is None else [f"--s3-endpoint-url={server.url}"]
    args = config.fetch_parser().parse_args([f"--model={uri}", *place])
    with pytest.raises(TrialError) as caught:
        fetch.run(args, lambda line: None)
    assert caught.value.message.startswith(said)
    assert caught.value.exit_code == (4 if "none" in uri else 2)


def test_a_key_is_that_folder_and_not_its_longer_neighbours(
    server: s3_server.Server, fetched: Fetch, cache: Path
) -> None:
    server.put("a/imdb/train.csv", b"text,label\nfine,1\n")
    server.put("a/imdb/deep/test.csv", b"text,label\nbad,0\n")
    server.put("a/imdb2/train.csv", b"text,label\nother,0\n")
    fetched("a/imdb")
    folder = place(server, "a/imdb").folder(cache)
    assert {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()} == {
        "train.csv",
        "deep/test.csv",
    }


@on_one_server
@pytest.mark.parametrize("ending", ["csv", "tsv", "json", "jsonl", "parquet"])
def test_a_single_file_is_read_by_its_ending(
    server: s3_server.Server, fetched: Fetch, ending: str, tmp_path: Path
) -> None:
    rows = Dataset.from_dict({"text": ["good", "bad, very"], "label": [1, 0]})
    file = tmp_path / f"rows.{ending}"
    if ending == "parquet":
        rows.to_parquet(file)
    elif ending.startswith("json"):
        rows.to_json(file)
    else:
        rows.to_csv(file, sep="\t" if ending == "tsv" else ",", index=False)
    server.put(f"one/{file.name}", file.read_bytes())
    fetched(f"one/{file.name}")
    found = data.load_splits("default", place(server, f"one/{file.name}"))
    assert found["train"].to_dict() == rows.to_dict()


@on_one_server
def test_a_saved_dataset_and_several_files_keep_their_splits(
    server: s3_server.Server, fetched: Fetch, tmp_path: Path
) -> None:
    split = Dataset.from_dict({"text": ["good", "bad"], "label": [1, 0]})
    DatasetDict({"train": split, "test": split}).save_to_disk(str(tmp_path / "saved"))
    server.put_folder("saved", tmp_path / "saved")
    for name in ("train", "validation"):
        server.put(f"files/{name}.jsonl", b'{"text": "good", "label": 1}\n')
    fetched("saved/")
    fetched("/files")
    assert list(data.load_splits("default", place(server, "saved/"))) == ["train", "test"]
    assert list(data.load_splits("default", place(server, "/files"))) == ["train", "validation"]


def test_it_is_downloaded_once_and_its_size_is_known_before(
    server: s3_server.Server, fetched: Fetch, cache: Path
) -> None:
    server.put("once/train.csv", b"text,label\n" + b"good film,1\n" * 20_000)
    assert fetched("once", "--size") == ["Would download 0.2 MB: s3://reviews/once (0.2 MB)."]
    assert not (cache / "s3").exists()
    assert fetched("once")[0] == "Dataset s3://reviews/once: downloading 0.2 MB, 1 object."
    server.remove("once/train.csv")
    assert fetched("once")[-1].startswith("Dataset s3://reviews/once is here: ")


def test_a_download_that_breaks_off_leaves_nothing_that_counts(
    server: s3_server.Server, fetched: Fetch, cache: Path, keys: None
) -> None:
    from trainer.s3 import Storage

    for number in range(3):
        server.put(f"broken/{number}.csv", b"text,label\ngood,1\n")
    storage = Storage(place(server, "broken"))
    found = storage.find()
    server.remove("broken/1.csv")
    folder = place(server, "broken").folder(cache)
    with pytest.raises(TrialError):
        storage.download(found, folder)
    assert list(folder.parent.iterdir()) == []
    with pytest.raises(TrialError, match="not here yet") as caught:
        sources.fetched(place(server, "broken"))
    assert caught.value.exit_code == 7


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"AWS_ACCESS_KEY_ID": "nobody"},
            "{url} does not know this access key; check AWS_ACCESS_KEY_ID.",
        ),
        (
            {"AWS_SECRET_ACCESS_KEY": "wrong"},
            "The secret key is not that of the access key; check AWS_SECRET_ACCESS_KEY.",
        ),
        (
            {"AWS_SECRET_ACCESS_KEY": ""},
            "AWS_ACCESS_KEY_ID is set, but AWS_SECRET_ACCESS_KEY is not: S3 needs both.",
        ),
    ],
)
def test_keys_that_do_not_fit_have_a_sentence_each(
    server: s3_server.Server,
    fetched: Fetch,
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, str],
    sentence: str,
) -> None:
    for name, value in changes.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(TrialError) as caught:
        fetched("err")
    assert caught.value.message == sentence.format(url=server.url)
    assert caught.value.exit_code == 3


@on_one_server  # NB: moto fails itself where there are no keys at all
def test_without_keys_what_is_not_public_is_said_to_need_them(
    server: s3_server.Server, fetched: Fetch, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in server.keys:
        monkeypatch.setenv(name, "")
    with pytest.raises(TrialError) as caught:
        fetched("err")
    assert caught.value.message == (
        "s3://reviews/err is not public, and there are no keys for it: set AWS_ACCESS_KEY_ID "
        "and AWS_SECRET_ACCESS_KEY; on a cluster name their Secret in s3_access_key and "
        "s3_secret_key."
    )


def test_a_missing_key_is_told_with_what_lies_beside_it(
    server: s3_server.Server, fetched: Fetch
) -> None:
    for name in ("imdb2/train.csv", "other.csv"):
        server.put(f"beside/{name}", b"text,label\n")
    with pytest.raises(TrialError) as caught:
        fetched("beside/imdb")
    assert caught.value.message == (
        "There is nothing under the key 'beside/imdb': reviews/beside holds imdb2/, other.csv."
    )
    with pytest.raises(TrialError, match="there is nothing in reviews/nowhere"):
        fetched("nowhere/imdb")
    with pytest.raises(TrialError, match=r"the bucket reviews holds .*beside/"):
        fetched("imdb")


def test_a_missing_bucket_and_a_silent_endpoint_are_told(
    server: s3_server.Server, fetched: Fetch
) -> None:
    with pytest.raises(TrialError) as caught:
        fetched("a", bucket="nothing")
    assert caught.value.message == f"There is no bucket 'nothing' at {server.url}."
    (port,) = s3_server.free_ports(1)
    with pytest.raises(TrialError, match=f"http://127.0.0.1:{port} cannot be reached: .*onnect"):
        fetched("a", url=f"http://127.0.0.1:{port}")


@on_one_server
def test_a_failed_fetch_is_one_sentence_and_an_exit_code_without_keys(
    server: s3_server.Server, trainer: Trainer
) -> None:
    wrong = {"AWS_ACCESS_KEY_ID": "tests-access", "AWS_SECRET_ACCESS_KEY": "wrong-secret"}
    ended = trainer("fetch", "--model=.", *flags(server.url, "x"), env=wrong)
    assert ended.code == 3
    assert ended.last_words.startswith("error: The secret key is not that of the access key")
    assert "Traceback" not in ended.err
    assert "wrong-secret" not in ended.out + ended.err


def test_a_key_with_spaces_and_other_letters_is_fetched_as_it_is(
    server: s3_server.Server, fetched: Fetch
) -> None:
    key = "données/film reviews (été) + 100%.csv"
    server.put(key, b"text,label\nfine,1\n")
    fetched(key)
    found = data.load_splits("default", place(server, key))
    assert found["train"][:] == {"text": ["fine"], "label": [1]}
    with pytest.raises(TrialError) as caught:
        fetched("données/film reviews")
    assert "données holds film reviews (été) + 100%.csv." in caught.value.message


def test_reviews_is_not_reviews_old(server: s3_server.Server, fetched: Fetch) -> None:
    server.put("data/reviews-old/train.csv", b"text,label\nold,1\n")
    with pytest.raises(TrialError, match="There is nothing under the key 'data/reviews': ") as no:
        fetched("data/reviews")
    assert "reviews/data holds reviews-old/" in no.value.message
    server.put("data/reviews/train.csv", b"text,label\nnew,1\n")
    fetched("data/reviews")
    assert data.load_splits("default", place(server, "data/reviews"))["train"]["text"][:] == ["new"]


@on_one_server
def test_an_address_that_is_no_storage_is_told(server: s3_server.Server, fetched: Fetch) -> None:
    for url in (server.url.replace("http:", "https:"), "http://no-such-host.invalid"):
        with pytest.raises(TrialError, match=f"{url} cannot be reached: ") as caught:
            fetched("a", url=url)
        assert caught.value.exit_code == 3
    with web_server() as url:
        with pytest.raises(TrialError) as caught:
            fetched("a", url=url)
        assert caught.value.message.startswith(f"{url} did not give s3://reviews/a: ")


def test_another_region_is_told_or_does_not_matter(
    server: s3_server.Server, fetched: Fetch
) -> None:
    """Both servers take any region that the request is signed for; AWS names the right one."""
    server.put("region/train.csv", b"text,label\nfine,1\n")
    assert fetched("region", "--s3-region-name=eu-west-1")[-1].startswith("Dataset s3://reviews/")


@contextmanager
def web_server() -> Iterator[str]:
    """An ordinary web server, which knows nothing of buckets."""
    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler
    ) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (["--s3-bucket-name=b"], "also needs --s3-endpoint-url and --s3-file-key"),
        (["--s3-region-name=r"], "also needs --s3-endpoint-url and --s3-bucket-name and --s3-file"),
        ([*flags("http://h", "k"), "--dataset=imdb"], "from one place, not from imdb and from S3"),
        (flags("h:9000", "k"), "an address such as https://"),
        (flags("http://me:secret@h", "k"), "without keys"),
    ],
)
def test_flags_that_do_not_fit_are_usage_errors(
    line: list[str], sentence: str, tmp_path: Path
) -> None:
    args = config.fetch_parser().parse_args(["--model=.", f"--cache={tmp_path}", *line])
    with pytest.raises(TrialError, match=sentence) as caught:
        fetch.run(args, print)
    assert caught.value.exit_code == 2
