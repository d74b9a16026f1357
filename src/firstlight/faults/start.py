"""What was seen of one start of an app: what the faults of the layer `app` are told by. Data alone.

Before the start a program looks (programs/look_at_comfyui.py); then come the lines that the recipe's patterns find, and the end.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from firstlight.probe.facts import NOT_ASKED, Unknown

# Of one sort of line, so many are kept.
LINES_KEPT = 8


@dataclass(frozen=True, kw_only=True)
class Model:
    """A model's folder.

    Attributes:
        lacks: what is not there as a whole, in words; empty where the model is complete.
        reaches_for: the repository of the hub that its configuration names for its tokenizer, and the file that does; empty for none.
        cached: that repository lies in the hub's cache.
    """

    folder: str
    lacks: tuple[str, ...] = ()
    reaches_for: str = ""
    named_in: str = ""
    cached: bool = False


@dataclass(frozen=True, kw_only=True)
class Start:
    """What was seen of one start, until now.

    Attributes:
        port: where the app is to listen.
        holder: who holds that port: "" for nobody, "somebody" where that cannot be told.
        missing: folders that its configuration names and that are not there, each with the file that names it.
        packages: the versions in the app's interpreter, by name; None for one that is not installed.
        torch_cuda: the CUDA that its PyTorch is built for; "" for none.
        wants_gpu: its command does not say that it shall run without.
        speaks: a VibeVoice node pack is there, or a model of it is.
        manager_online: ComfyUI-Manager is there, and its configuration lets it fetch while the app starts.
        offline: HF_HUB_OFFLINE is set.
        interpreter: the app's Python, as a command shows it.
        printed: the lines that patterns of the recipe have found, by the name of the pattern; the latest are kept.
        code: how it ended, as a shell has it; None as long as it has not.
        served: it has been ready, or has answered a check.
    """

    port: int = 0
    holder: str | Unknown = NOT_ASKED
    missing: tuple[tuple[str, str], ...] | Unknown = NOT_ASKED
    packages: Mapping[str, str | None] | Unknown = NOT_ASKED
    needs_frontend: bool = False
    torch_cuda: str | Unknown = NOT_ASKED
    wants_gpu: bool = True
    speaks: bool = False
    models: tuple[Model, ...] | Unknown = NOT_ASKED
    manager_online: str = ""
    offline: bool = False
    interpreter: str = "python"
    printed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    code: int | None = None
    served: bool = False

    def line(self, *names: str) -> str:
        """The latest line of the first of these patterns that found one; empty where none did."""
        return next((self.printed[name][-1] for name in names if self.printed.get(name)), "")
