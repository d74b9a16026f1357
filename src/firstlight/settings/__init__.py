"""Settings of `run`: flags, variables, firstlight.toml and the app's recipe become one frozen Settings.

A flag wins over its variable, a variable over the file, the file over the app's recipe, and that over the built-in default.
Each source is read whole: a wrong value is never passed over because a better source hides it. This is the only reader of
FIRSTLIGHT_* variables. It is read before the first probe starts, so it keeps its imports few.
"""

from __future__ import annotations

from firstlight import errors
from firstlight.settings import values
from firstlight.settings.options import GROUPS, OPTIONS, Option
from firstlight.settings.values import duration
from firstlight.system import files

TYPE_CHECKING = False  # `typing` has the same name, and costs two milliseconds before the first probe
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["GROUPS", "LEASE", "LIFE", "NOT_FOR_APPS", "OPTIONS", "TOKEN", "Option", "Origin", "Settings", "duration", "load"]

_PREFIX = "FIRSTLIGHT_"

# In the app's environment: which life of it a process belongs to, wherever in the tree of processes it has ended up.
LIFE = "FIRSTLIGHT_LIFE"

# The token of the page, where no file of it is named: all that a pod can be given is variables.
TOKEN = "FIRSTLIGHT_TOKEN"  # noqa: S105 - its name

# What `pod configure` has found in a pod, for `pod restore`; whose test or move a pod was made for.
PREVIOUS = "FIRSTLIGHT_PREVIOUS"
LEASE = "FIRSTLIGHT_LEASE"

# What `pod` verbs leave with a pod, for themselves and for us. No app needs them, and many show their environment to anybody.
NOT_FOR_APPS = frozenset({TOKEN, PREVIOUS, LEASE})

# Variables with our prefix that are no settings of `run`.
_OTHER_VARIABLES = frozenset({LIFE, *NOT_FOR_APPS})

# What Kubernetes puts into every container for a Service that is called firstlight, or firstlight-…: those are not ours.
_SERVICE_LINK = r"FIRSTLIGHT_(?:\w+_)?(?:SERVICE_HOST|SERVICE_PORT(?:_\w+)?|PORT_[0-9]+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)"
_SERVICE_PORTS = ("tcp://", "udp://", "sctp://")

# The volume of a pod, and the file that is read there without being asked for.
_VOLUME = "/workspace"
_FILE = "firstlight.toml"


class Origin:
    """Where a value came from.

    Attributes:
        source: flag, environment, file, recipe or default.
        name: the flag, the variable, the file's path or the recipe's name; empty for a default.
    """

    __slots__ = ("name", "source")

    def __init__(self, source: str, name: str = "") -> None:
        self.source = source
        self.name = name

    def wrong(self, setting: str, words: str) -> errors.Error:
        """The error for a value from here; `words` begin with the value."""
        if self.source == "flag":
            return errors.UsageError(f"cannot take {self.name} {words}")
        if self.source == "environment":
            return errors.SettingsError(f"cannot take {self.name}={words}")
        return errors.SettingsError(f"cannot take {self.name or 'the defaults'}: {setting} = {words}")


class Settings:
    """What `run` was told. Durations are seconds, sizes bytes, signals numbers; an empty text or a port of 0 was not told."""

    __slots__ = ("__dict__", "_origins")  # so that vars() gives the values alone

    gpus: str  # "all", "any", "none" or a number
    attempts: int
    delay: float
    deadline: float
    probe_timeout: float
    on_failure: str
    holder: float  # 0: not at all
    torch: str
    allow: tuple[str, ...]
    watch: float  # 0: not at all
    on_gpu_fault: str

    app: str
    port: int
    node: str
    model: str
    budget: float  # 0: none
    with_: tuple[str, ...]

    restart: str
    restart_delay: float
    restart_delay_max: float
    restart_reset: float
    restart_limit: int  # 0: none
    restart_window: float
    success_exit: tuple[int, ...]

    grace: float
    stop_signal: int
    rewrite: tuple[tuple[int, int], ...]  # from and to; a later pair wins; 0 drops the signal
    forward: str

    alive: tuple[str, ...]
    ready: tuple[str, ...]
    accept: str
    ready_timeout: float  # 0: none

    log_dir: str
    log_size: int
    log_files: int
    capture: str
    log_format: str
    quiet: bool

    serve: str  # HOST:PORT or "off"
    serve_host: tuple[str, ...]
    token_file: str
    metrics_token_file: str

    config: str  # the file that was read; empty where none was
    state_dir: str
    run_dir: str
    publish_env: bool
    dry_run: bool

    # The tables of the file, by name. Whoever acts on them knows their keys.
    checks: Mapping[str, Mapping[str, object]]
    companions: Mapping[str, Mapping[str, object]]

    _origins: dict[str, Origin]

    def __init__(self, found: Mapping[str, object], origins: Mapping[str, Origin] | None = None) -> None:
        vars(self).update(found)
        object.__setattr__(self, "_origins", dict(origins or {}))

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"settings do not change: {name}")

    def changed(self, **others: object) -> Settings:
        """The same with some values changed."""
        return Settings({**vars(self), **others}, self._origins)

    def with_recipe(self, recipe: str, told: Mapping[str, str]) -> Settings:
        """The same, with what the app's recipe sets, by the name of the setting, wherever nobody set it."""
        source = _Source()
        for option in OPTIONS:
            if option.name in told and self.origin(option.name).source == "default":
                source.take(option, told[option.name], Origin("recipe", recipe))
        return Settings({**vars(self), **source.values}, {**self._origins, **source.origins})

    def shown(self) -> dict[str, object]:
        """All values without what is secret in them, as JSON has them."""
        from firstlight.settings import masking

        return {field: masking.masked(value) for field, value in vars(self).items()}

    def wrong(self, name: str, words: str) -> errors.Error:
        """The error for a value that is found to be wrong only where it is used; it names where the value came from."""
        return self.origin(name).wrong(name, words)

    def origin(self, name: str) -> Origin:
        """Where the value of a setting, by its name, came from."""
        return self._origins.get(name) or Origin("default")


class _Source:
    """The values of one source, by field, and where each came from, by name."""

    __slots__ = ("origins", "values")

    def __init__(self) -> None:
        self.values: dict[str, object] = {}
        self.origins: dict[str, Origin] = {}

    def take(self, option: Option, told: str | Sequence[str], origin: Origin) -> None:
        """Raises ValueError where the text is wrong."""
        self.values[option.field] = option.parse(told)
        self.origins[option.name] = origin


def load(flags: Mapping[str, object], environment: Mapping[str, str]) -> Settings:
    """Settings out of all sources but the app's recipe, which nobody knows before: `Settings.with_recipe` adds that.

    Raises:
        UsageError: a flag's value is wrong.
        SettingsError: a variable or the file is wrong.
    """
    told = _from_flags(flags)
    variables = _from_environment(environment)
    path, written = _from_file(str(told.values.get("config") or variables.values.get("config") or ""))
    found: dict[str, object] = {"checks": {}, "companions": {}}
    origins: dict[str, Origin] = {}
    for source in (_defaults(), written, variables, told):
        found.update(source.values)
        origins.update(source.origins)
    return Settings({**found, "config": path}, origins)


def _defaults() -> _Source:
    source = _Source()
    for option in OPTIONS:
        source.values[option.field] = option.parse(option.default)
    return source


def _from_flags(flags: Mapping[str, object]) -> _Source:
    source = _Source()
    for option in OPTIONS:
        told = flags.get(option.field)
        if told is None:
            continue
        origin = Origin("flag", f"--{option.name}")
        try:
            source.take(option, told if isinstance(told, list) else str(told), origin)
        except ValueError as error:
            raise origin.wrong(option.name, str(error)) from None
    return source


def _from_environment(environment: Mapping[str, str]) -> _Source:
    """An empty variable is none: `docker run -e` and compose files make them of what is not set."""
    source = _Source()
    by_variable = {option.variable: option for option in OPTIONS}
    for variable in sorted(name for name in environment if name.startswith(_PREFIX)):
        text = environment[variable]
        option = by_variable.get(variable)
        if not text or variable in _OTHER_VARIABLES or (variable.endswith("_PORT") and text.startswith(_SERVICE_PORTS)):
            continue
        if option is None:
            if _is_service_link(variable):
                continue
            raise errors.SettingsError(f"cannot take {variable}: there is no such setting{values.nearest(variable, by_variable)}")
        origin = Origin("environment", variable)
        try:
            source.take(option, text, origin)
        except ValueError as error:
            raise origin.wrong(option.name, str(error)) from None
    return source


def _is_service_link(variable: str) -> bool:
    import re  # only an unknown variable is worth an expression's compilation

    return re.fullmatch(_SERVICE_LINK, variable) is not None


def _from_file(path: str) -> tuple[str, _Source]:
    """The file that is named, else the one of the volume; its path, empty where there is none."""
    source = _Source()
    if path == "none" or not (path or files.is_mount(_VOLUME)):
        return "", source
    from firstlight.settings import firstlight_toml

    content = firstlight_toml.read(path or f"{_VOLUME}/{_FILE}", must_be_there=bool(path))
    if content is None:
        return "", source
    path = path or f"{_VOLUME}/{_FILE}"
    for option, told in content.settings:
        try:
            source.take(option, told, Origin("file", path))
        except ValueError as error:
            raise Origin("file", path + content.line(option.name)).wrong(option.name, str(error)) from None
    source.values.update(content.tables)
    return path, source
