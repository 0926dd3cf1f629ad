"""The command `replay`: make a stored answer again and say whether the text is the same, or what a change does."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict

from core import services
from core.chat.replays import Change, Replay
from core.errors import GroundworkError, from_code
from core.prompts import word_difference
from core.readiness import wait_until_ready
from core.services import Services
from core.settings import Settings
from core.types import Failed


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `replay`."""
    parser.add_argument("message", type=int, help="the id of the answer")
    parser.add_argument("--prompt", type=int, metavar="VERSION", help="with this version of the answer prompt")
    parser.add_argument("--model", metavar="ID", help="with this chat model")
    parser.add_argument("--passages", type=int, metavar="N", help="with so many passages")
    parser.add_argument("--json", action="store_true", help="print both texts and what differs as JSON")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, settings: Settings) -> int:
    """0: the same text; 1: another one. Raises GroundworkError, Conflict with what stands in the way."""
    live = services.build(settings)
    try:
        with live.with_model_server():
            wait_until_ready(live)
            return _report(_replayed(live, options), as_json=options.json)
    finally:
        live.release()


def _replayed(live: Services, options: argparse.Namespace) -> Replay:
    change = Change(prompt=options.prompt, model=options.model, passages=options.passages)
    replay = live.replays.start(options.message, change, owner_id=live.accounts.who().id)
    while not replay.turn.ended(1.0):
        pass
    if failed := next((event for event in replay.turn.events if isinstance(event, Failed)), None):
        raise from_code(failed.code, failed.message)
    if replay.cited is None:
        raise GroundworkError("The replay gave no answer. Try it again.")
    return replay


def _report(replay: Replay, *, as_json: bool) -> int:
    now = replay.cited.text if replay.cited else ""
    if as_json:
        body = {
            "message": replay.making.message_id,
            "change": asdict(replay.change),
            "same_text": replay.same_text,
            "same_prompt": replay.same_prompt,
            "then": replay.making.answer,
            "now": now,
            "ai_generated": True,
        }
        print(json.dumps(body, ensure_ascii=False, indent=2))
    elif replay.same_text:
        print(f"The same text:\n\n{now}")
    else:
        signs = {"same": "{}", "added": "{{+{}+}}", "removed": "[-{}-]"}
        print("Another text:\n")
        print("".join(signs[kind].format(text) for kind, text in word_difference(replay.making.answer, now)))
    return 0 if replay.same_text else 1
