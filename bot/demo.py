"""`make demo`: the whole conversation as a user has it, without a browser.

Starts everything in a state folder of its own, types `/katib-tune form …`, fills the form, prints
the thread as it grows, and asks `/katib-best`. Exit code 0 only if the optimum beats the majority
class of the held-out texts by two standard errors.
"""

from __future__ import annotations

import json
import math
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bot.slack.modal import BANNER
from bot.workspace.person import Person, PersonRefused, filled

# Batches of texts of like length: a quarter less padding, so that a busy machine keeps to LIMIT_S.
COMMAND = (
    "/katib-tune form default on default split=train[:480] eval_split=validation[:400] "
    "train_sampling_strategy=group_by_length"
)
ANSWERS = {"max_trial_count": "4", "parallel_trial_count": "2"}
LIMIT_S = 180
FORM_LIMIT_S = 15


class DemoFailed(Exception):
    """The demo did not do what it shows; the text says what happened."""


def main() -> int:
    """Play the conversation.

    Returns:
        0 if the optimum beats the majority class by two standard errors, else 1.
    """
    began = time.monotonic()
    try:
        with tempfile.TemporaryDirectory(prefix="katib-tune-demo-") as folder:
            with _everything(Path(folder)) as page_url:
                _converse(Person.at(page_url), began)
            verdict = _judge(Path(folder))
    except (DemoFailed, PersonRefused, OSError) as error:
        print(f"\nThe demo failed: {error}", file=sys.stderr)
        return 1
    print(f"\n{verdict}\nThe demo took {time.monotonic() - began:.0f} s.")
    return 0


@contextmanager
def _everything(state: Path) -> Iterator[str]:
    """`katib-tune run` in `state`, on a free port; yields the page's address."""
    command = [sys.executable, "-m", "bot", "run", "--port", "0", "--state", str(state)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield _address(process.stdout)
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()


def _address(output: Any) -> str:
    for line in output:
        if found := re.search(r"http://\S+", line):
            print(f"Started at {found[0]}", flush=True)
            return found[0]
    raise DemoFailed("`katib-tune run` did not start; the lines above say why.")


def _converse(ada: Person, began: float) -> None:
    _say(ada.user, COMMAND)
    answer = ada.command(COMMAND)
    if not answer["delivered"]:
        raise DemoFailed(f"the command was not taken: {answer.get('error')}.")
    view = _form(ada)
    print(f"  (the form “{view['title']['text']}” is open; filling in {ANSWERS})", flush=True)
    answer = ada.submit(view["id"], filled(view, ANSWERS))
    if answer.get("errors"):
        raise DemoFailed(f"the form was refused: {answer['errors']}.")
    root = _thread_to_its_end(ada, began)
    _say(ada.user, "/katib-best")
    ada.command("/katib-best")
    _print(_last_ephemeral(ada, after=root))


def _form(ada: Person) -> Mapping[str, Any]:
    give_up = time.monotonic() + FORM_LIMIT_S
    while time.monotonic() < give_up:
        view = ada.view()
        if view is not None and view.get("submit"):
            return view
        time.sleep(0.1)
    raise DemoFailed("the form did not open.")


def _thread_to_its_end(ada: Person, began: float) -> str:
    """Print the card when its trials change, and every reply; returns the root's ts."""
    root, replies, card = "", 0, ""
    while time.monotonic() - began < LIMIT_S:
        time.sleep(0.5)
        if not root:
            _refusal_of(ada)
            root = next((m["ts"] for m in ada.messages() if m.get("bot_id")), "")
            continue
        thread = ada.thread(root)
        if thread[0]["text"] != card:
            card = thread[0]["text"]
            print(f"  [card] {card}", flush=True)
        for message in thread[1 + replies :]:
            _print(message)
            replies += 1
            if _key(message).endswith(":ended"):
                return root
    raise DemoFailed(f"the Experiment did not end within {LIMIT_S} s.")


def _refusal_of(ada: Person) -> None:
    """DemoFailed if the form came back with a banner: the engine, or Slack, refused it."""
    for block in (ada.view() or {"blocks": []})["blocks"]:
        if block.get("block_id") == BANNER:
            raise DemoFailed(f"the form came back: {block['text']['text']}")


def _last_ephemeral(ada: Person, *, after: str) -> Mapping[str, Any]:
    give_up = time.monotonic() + FORM_LIMIT_S
    while time.monotonic() < give_up:
        mine = [m for m in ada.messages() if m.get("is_ephemeral") and m["ts"] > after]
        if mine:
            return mine[-1]
        time.sleep(0.1)
    raise DemoFailed("`/katib-best` was not answered.")


def _key(message: Mapping[str, Any]) -> str:
    payload = (message.get("metadata") or {}).get("event_payload") or {}
    return str(payload.get("key", ""))


def _say(user: str, text: str) -> None:
    print(f"\n{user}: {text}", flush=True)


def _print(message: Mapping[str, Any]) -> None:
    print("\nkatib-tune:", flush=True)
    for text in _texts(message.get("blocks") or [message]):
        print("  " + text.replace("\n", "\n  "), flush=True)


def _texts(value: Any) -> Iterator[str]:
    """Every text in blocks, in reading order; a table's row is one line."""
    if isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, Mapping):
        if "rows" in value:
            for row in value["rows"]:
                yield "  ".join(
                    " ".join(_texts(cell)) or str(cell.get("value", "")) for cell in row
                )
        elif isinstance(value.get("text"), str):
            yield re.sub(r"<!date\^[^|]*\|([^>]*)>", r"\1", value["text"])
        elif value.get("type") not in ("actions", "data_visualization"):
            for inner in ("text", "elements", "fields"):
                if inner in value:
                    yield from _texts(value[inner])


def _judge(state: Path) -> str:
    """Whether the optimum is worth anything.

    Raises:
        DemoFailed: it does not beat the majority class by two standard errors.
    """
    command = [sys.executable, "-m", "bot", "best", "--json", "--state", str(state)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    if answer.returncode != 0:
        raise DemoFailed(f"no optimum was found: {answer.stderr.strip()}")
    optimal = json.loads(answer.stdout.splitlines()[0])["optimal"]
    accuracy = optimal["eval_accuracy"]
    rows = _held_out(state, optimal["trial"])
    texts, majority = rows["eval"], rows["majority"]
    error = math.sqrt(accuracy * (1 - accuracy) / texts)
    measured = (
        f"{accuracy:.3f} ± {error:.3f} on {texts} held-out texts; the majority {majority:.3f}"
    )
    if texts < 400 or accuracy - majority < 2 * error:
        raise DemoFailed(f"the optimum is not good enough: accuracy {measured}.")
    return f"The optimum beats the majority class: accuracy {measured}."


def _held_out(state: Path, trial: str) -> Mapping[str, Any]:
    number = trial.rpartition("-")[2]
    for path in state.rglob("result.json"):
        if path.parent.name == number:
            rows: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))["rows"]
            return rows
    raise DemoFailed(f"the result of {trial} is not there.")


if __name__ == "__main__":
    sys.exit(main())
