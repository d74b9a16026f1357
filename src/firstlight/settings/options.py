"""Every setting, declared once: its flag, its variable, its key in firstlight.toml, its default, and what it means."""

from __future__ import annotations

from firstlight.settings import values

TYPE_CHECKING = False  # `typing` has the same name, and costs two milliseconds before the first probe
if TYPE_CHECKING:
    from collections.abc import Sequence

    from firstlight.settings.values import Kind


class Option:
    """One setting: the flag --NAME, the variable FIRSTLIGHT_NAME and the key NAME. A switch has no metavar.

    Attributes:
        many: its flag can be repeated, its variable holds one value a line, its key an array.
        commas: several values may also stand in one text, with commas between them.
    """

    __slots__ = ("commas", "default", "kind", "many", "metavar", "name", "words")

    def __init__(self, name: str, default: str, kind: Kind, metavar: str, words: str, *, many: bool = False, commas: bool = False) -> None:
        self.name = name
        self.default = default
        self.kind = kind
        self.metavar = metavar
        self.words = words
        self.many = many or commas
        self.commas = commas

    @property
    def field(self) -> str:
        """Its name in Settings. `with` is a word of Python's own, so it gets an underscore."""
        return "with_" if self.name == "with" else self.name.replace("-", "_")

    @property
    def variable(self) -> str:
        """Its environment variable."""
        return "FIRSTLIGHT_" + self.name.replace("-", "_").upper()

    @property
    def in_file(self) -> bool:
        """It may stand in firstlight.toml: all but the name of that file."""
        return self.name != "config"

    def parse(self, told: str | Sequence[str]) -> object:
        """Its value out of a text, or of several where it can be repeated; one text may then hold a value a line.

        Raises:
            ValueError: it is wrong; the message begins with the text.
        """
        texts = [told] if isinstance(told, str) else list(told)
        if not self.many:
            return self._parse(texts[-1])
        if isinstance(told, str):
            texts = told.split("\n")
        if self.commas:
            texts = [piece.strip() for text in texts for piece in text.split(",")]
        texts = [text for text in texts if text]
        # A source that wants nothing of what a lower one asks for has to be able to say so.
        return () if texts == ["none"] else tuple(self._parse(text) for text in texts)

    def _parse(self, text: str) -> object:
        try:
            return self.kind.parse(text)
        except ValueError as error:
            from firstlight.settings import masking

            raise ValueError(f"{masking.quoted(text)}: {error}") from None


# By heading, each in the order in which a newcomer meets them.
GROUPS = {
    "GPU": (
        Option("gpus", "all", values.GPUS, "all|any|N|none", "how many of the granted GPUs must be proven before the app starts"),
        Option(
            "attempts",
            "10",
            values.whole(1, 10_000),
            "N",
            "how often to try while a fault may pass; what an event or a remedy calls for is not counted",
        ),
        Option("delay", "3s", values.POSITIVE_DURATION, "TIME", "how long to wait between two attempts; a change in /dev ends the wait"),
        Option("deadline", "5m", values.POSITIVE_DURATION, "TIME", "when to give up waiting altogether"),
        Option(
            "probe-timeout",
            "60s",
            values.POSITIVE_DURATION,
            "TIME",
            "how long one step of a probe may take before it counts as hung",
        ),
        Option(
            "on-failure",
            "exit",
            values.choice("exit", "hold", "relocate"),
            "exit|hold|relocate",
            "what to do when no GPU can be had: end, stay up for a person to log in, or ask for another host where this one is at fault",
        ),
        Option(
            "holder", "60s", values.DURATION_OR_OFF, "TIME", "how long to hold the driver open for the app's own start; 0 for not at all"
        ),
        Option("torch", "", values.TEXT, "PYTHON", "also ask the PyTorch of this interpreter, when CUDA does not come up"),
        Option("allow", "", values.REMEDY, "REMEDY", "a remedy that is done only when asked for: drop-preload", commas=True),
        Option("watch", "30s", values.DURATION_OR_OFF, "TIME", "how often to look after the GPUs while the app runs; 0 for not at all"),
        Option(
            "on-gpu-fault",
            "note",
            values.choice("note", "restart", "hold", "exit", "relocate"),
            "note|restart|hold|exit|relocate",
            "what to do when a GPU fails under the running app",
        ),
    ),
    "app": (
        Option("app", "", values.RECIPE, "RECIPE", "the recipe of the app: its checks, and defaults for what is not set here"),
        Option("port", "", values.PORT, "N", "the port that the app listens on, for the checks of its recipe"),
        Option("node", "", values.TEXT, "CLASS", "a node's class without which the app of the recipe is not ready"),
        Option("model", "", values.TEXT, "NAME", "a model that this node must offer"),
        Option(
            "budget",
            "0s",
            values.DURATION_OR_OFF,
            "TIME",
            "how long it may take from the start until the app is ready, with --accept until it has spoken, before the boot counts as degraded; "
            "0 for ever (ComfyUI: 5m)",
        ),
        Option("with", "", values.COMMAND, "COMMAND", "a command to keep running beside the app, from before the GPU is ready", many=True),
    ),
    "restart": (
        Option(
            "restart",
            "never",
            values.choice("never", "on-failure", "always"),
            "never|on-failure|always",
            "when to start the app again after its end",
        ),
        Option("restart-delay", "0.5s", values.DURATION, "TIME", "how long to wait before the first restart; each one in a row doubles it"),
        Option("restart-delay-max", "30s", values.DURATION, "TIME", "the longest wait before a restart"),
        Option("restart-reset", "30s", values.DURATION, "TIME", "how long the app must have been ready for the wait to begin anew"),
        Option("restart-limit", "10", values.whole(0, 1_000_000), "N", "how many restarts within the window are too many; 0 for no limit"),
        Option("restart-window", "10m", values.POSITIVE_DURATION, "TIME", "the time in which restarts are counted"),
        Option("success-exit", "", values.EXIT_CODE, "CODES", "exit codes of the app that count as success, as 0 does", commas=True),
    ),
    "signals": (
        Option("grace", "8s", values.DURATION, "TIME", "how long the app may take to stop before it is killed"),
        Option("stop-signal", "TERM", values.SIGNAL, "SIGNAL", "the signal that asks the app to stop"),
        Option(
            "rewrite", "", values.REWRITE, "FROM:TO", "forward one signal as another, such as TERM:INT; a TO of none drops it", commas=True
        ),
        Option(
            "forward",
            "group",
            values.choice("group", "child"),
            "group|child",
            "who gets a forwarded signal: the app's process group, or the app alone",
        ),
    ),
    "checks": (
        Option(
            "alive",
            "",
            values.CHECK,
            "SPEC",
            "a check without which the app is restarted: http://…, tcp:…, exec:…, log:… or notify",
            many=True,
        ),
        Option("ready", "", values.CHECK, "SPEC", "a check without which the app is not ready", many=True),
        Option(
            "accept",
            "",
            values.ACCEPTANCE,
            "FILE",
            "a workflow of ComfyUI that must be made and judged well before the app is ready; options of `accept` may follow the name",
        ),
        Option(
            "ready-timeout",
            "0s",
            values.DURATION_OR_OFF,
            "TIME",
            "how long the app may take to become ready before it counts as failed; 0 for ever",
        ),
    ),
    "logs": (
        Option("log-dir", "", values.TEXT, "DIR", "also keep what the app prints in files here"),
        Option("log-size", "10M", values.SIZE, "SIZE", "how large such a file may become before the next one begins"),
        Option("log-files", "5", values.whole(1, 1000), "N", "how many such files to keep"),
        Option(
            "capture",
            "auto",
            values.choice("auto", "on", "off"),
            "auto|on|off",
            "whether the app's output passes through firstlight; auto: where something needs to see it",
        ),
        Option("log-format", "text", values.choice("text", "json"), "text|json", "how firstlight's own lines look"),
        Option("quiet", "false", values.SWITCH, "", "say nothing on the way to the app; giving up is still reported"),
    ),
    "page": (
        Option("serve", "127.0.0.1:8421", values.ADDRESS, "ADDRESS", "where to serve health, metrics and the status page; off for nowhere"),
        Option(
            "serve-host",
            "",
            values.HOST,
            "NAME",
            "a name by which others ask for the page, such as that of a proxy; addresses and RunPod's proxy need none",
            commas=True,
        ),
        Option(
            "token-file",
            "",
            values.TEXT,
            "FILE",
            "the file of the token that opens more than readiness to other hosts (default: the token in FIRSTLIGHT_TOKEN, else one is made)",
        ),
        Option("metrics-token-file", "", values.TEXT, "FILE", "the file of a token that opens the metrics, and no more"),
    ),
    "files": (
        Option(
            "config",
            "",
            values.TEXT,
            "FILE",
            "the file of settings; none for no file (default: firstlight.toml on /workspace where that is a mount)",
        ),
        Option(
            "state-dir",
            "",
            values.TEXT,
            "DIR",
            "where the journal is kept (default: .firstlight on /workspace where that is a mount)",
        ),
        Option("run-dir", "", values.TEXT, "DIR", "where the control socket is (default: /run/firstlight, or as near as can be written)"),
        Option(
            "publish-env",
            "false",
            values.SWITCH,
            "",
            "let SSH sessions have the app's environment: write /etc/firstlight/environment.sh, and a line into ~/.bashrc and /etc/profile.d",
        ),
        Option("dry-run", "false", values.SWITCH, "", "diagnose and say what would be done first; change and start nothing"),
    ),
}
OPTIONS = tuple(option for options in GROUPS.values() for option in options)
