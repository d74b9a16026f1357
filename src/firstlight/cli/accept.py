"""Have ComfyUI say a sentence in a voice, or make what a workflow makes, and judge what comes out.

It ends with 0 where that was made and passed all gates that could be asked, with 1 where one of them said no for every seed.
"""

from __future__ import annotations

import argparse
import json
import os
import signal

from firstlight.acceptance import accept, comfyui, hearing, listener, vibevoice
from firstlight.errors import ExitCode, Stopped, UsageError
from firstlight.report import accepted
from firstlight.settings import accepting
from firstlight.system import standard_error


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of accept."""
    parser.add_argument(
        "--workflow", metavar="FILE", help="a workflow in API format (default: one sentence by the node of VibeVoice that is there)"
    )
    parser.add_argument("--url", metavar="URL", default="http://127.0.0.1:8188", help="ComfyUI's address (default http://127.0.0.1:8188)")
    accepting.configure(parser)
    parser.add_argument(
        "--wait",
        metavar="TIME",
        type=accepting.duration,
        default="0s",
        help="how long to wait for a ComfyUI that is not up yet (default 0s)",
    )
    parser.add_argument(
        "--run-dir", metavar="DIR", help="where the instance's directory of the firstlight is that shall hear of it [FIRSTLIGHT_RUN_DIR]"
    )
    # As the readiness check of `run`, which hears the verdict by itself: its control socket, empty where it has none.
    parser.add_argument("--control", metavar="SOCKET", help=argparse.SUPPRESS)
    parser.add_argument(
        "--format",
        choices=("text", "json", "line"),
        default="text",
        help="text for people, json for programs, line for the verdict as one line of JSON",
    )


def run(arguments: argparse.Namespace) -> int:
    """Have it made, judge it, and say what came of it."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:  # nohup has it ignored
            signal.signal(number, _stop)
    server = comfyui.Server(arguments.url)
    wanted = _wanted(arguments)
    ears = hearing.find(arguments.models)
    by_hand = arguments.control is None
    # One that runs elsewhere is not the one that a firstlight on this machine looks after.
    heard_by = (
        (listener.find(arguments.run_dir) if server.here else listener.Listener("")) if by_hand else listener.Listener(arguments.control)
    )
    verdict = accept.accept(server, ears, wanted, standard_error.say, lambda leg: heard_by.tell({"leg": leg}))
    if by_hand:
        heard_by.tell({"accepted": accepted.brief(verdict)})
    if arguments.format == "json":
        print(json.dumps(accepted.encode(verdict), indent=2))
    elif arguments.format == "line":
        print(json.dumps(accepted.brief(verdict)))
    else:
        print(accepted.render(verdict))
    return ExitCode.OK if verdict.ok else ExitCode.ILL


def _stop(number: int, _frame: object) -> None:
    """As Ctrl-C does: the prompt that is under way is taken out of ComfyUI's hands."""
    raise Stopped(number)


def _wanted(arguments: argparse.Namespace) -> accept.Wanted:
    voice, suffix = accept.read_voice(arguments.voice) if arguments.voice is not None else (None, "")
    if arguments.text is not None and not arguments.text.strip():
        raise UsageError("cannot take --text: it is empty")
    if arguments.keep is not None:
        try:
            os.makedirs(arguments.keep, exist_ok=True)
        except OSError as error:
            raise UsageError(f"cannot take --keep {arguments.keep}: {error.strerror}") from None
    own = arguments.workflow is None
    return accept.Wanted(
        workflow=None if own else accept.read_file(arguments.workflow, "--workflow"),
        name=vibevoice.NAME if own else os.path.basename(arguments.workflow),
        text=arguments.text,
        voice=voice,
        voice_suffix=suffix,
        rate=arguments.sample_rate if arguments.sample_rate is not None else (vibevoice.RATE if own else 0),
        seeds=arguments.seeds,
        timeout=arguments.timeout,
        wait=arguments.wait,
        keep=arguments.keep or "",
    )
