"""From a named remedy to its plan, and from a plan to deeds: the only module here that touches the machine."""

from __future__ import annotations

import os
import resource
from collections.abc import Mapping
from typing import NoReturn, Protocol

from firstlight.faults.fault import Remedy
from firstlight.probe.facts import Facts
from firstlight.remedies import create_device_nodes, drop_preload, fix_library_path, raise_limits, replace_instance, rewrite_visible_devices
from firstlight.remedies.plan import Action, Applied, Failed, LinkLibraries, MakeNode, Outcome, Plan, RaiseLimit, Refused, Risk, SetVariable
from firstlight.system import files


class Cure(Protocol):
    """What the module of a remedy offers."""

    RISK: Risk

    def plan(self, facts: Facts, environment: Mapping[str, str]) -> Plan | Refused:
        """What it would do on a machine with these facts, for an app with this environment. Pure."""


def plan(remedy: Remedy, facts: Facts, environment: Mapping[str, str]) -> Plan | Refused:
    """What `remedy` would do on this machine for an app with this environment. Changes nothing."""
    return _cure(remedy).plan(facts, environment)


def risk(remedy: Remedy) -> Risk:
    """What `remedy` may cost."""
    return _cure(remedy).RISK


def _cure(remedy: Remedy) -> Cure:
    """The module of a remedy. The type checker proves that every remedy has one."""
    if remedy is Remedy.REWRITE_VISIBLE_DEVICES:
        return rewrite_visible_devices
    if remedy is Remedy.FIX_LIBRARY_PATH:
        return fix_library_path
    if remedy is Remedy.CREATE_DEVICE_NODES:
        return create_device_nodes
    if remedy is Remedy.RAISE_LIMITS:
        return raise_limits
    if remedy is Remedy.DROP_PRELOAD:
        return drop_preload
    if remedy is Remedy.REPLACE_INSTANCE:
        return replace_instance
    _unreachable(remedy)


def perform(plan: Plan, environment: Mapping[str, str]) -> Outcome:
    """Do what a plan says. An action that fails does not keep the others from being done."""
    done: list[str] = []
    failures: list[str] = []
    changes: dict[str, str | None] = {}
    for action in plan.actions:
        try:
            changes.update(_perform(action, environment))
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            failures.append(f"cannot do {action}: {reason}")
        else:
            done.append(str(action))
    if not done:
        return Failed("; ".join(failures))
    return Applied(tuple(done), changes, tuple(failures))


def _perform(action: Action, environment: Mapping[str, str]) -> dict[str, str | None]:
    """Do one action; give the variables that change."""
    if isinstance(action, SetVariable):
        return {action.name: action.value}
    if isinstance(action, MakeNode):
        files.make_node(action.path, action.major, action.minor, replace=action.replace)
        return {}
    if isinstance(action, RaiseLimit):
        number = getattr(resource, action.name)
        soft = resource.RLIM_INFINITY if action.soft is None else action.soft
        resource.setrlimit(number, (soft, resource.getrlimit(number)[1]))
        return {}
    directory = _link(action)
    rest = environment.get("LD_LIBRARY_PATH")
    return {"LD_LIBRARY_PATH": f"{directory}:{rest}" if rest else directory}


def _link(action: LinkLibraries) -> str:
    """A new directory with a link SONAME.1 for every driver library of the version."""
    import tempfile  # with all that it imports half a megabyte, which the core would keep for the rare cure

    directory = tempfile.mkdtemp(prefix="firstlight-libraries-")
    os.chmod(directory, 0o755)  # noqa: S103 - the app may run as another user
    suffix = f".{action.version}"
    for name in files.list_directory(action.directory):
        if name.startswith("lib") and name.endswith(f".so{suffix}"):
            os.symlink(os.path.join(action.directory, name), os.path.join(directory, name.removesuffix(suffix) + ".1"))
            os.symlink(os.path.join(action.directory, name), os.path.join(directory, name))
    return directory


def _unreachable(remedy: NoReturn) -> NoReturn:
    """The type checker proves that no remedy gets here."""
    raise AssertionError(remedy)
