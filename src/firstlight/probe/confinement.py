"""Who we are, and what the container keeps from us."""

from __future__ import annotations

import os

from firstlight.probe.facts import Confinement, Unknown
from firstlight.probe.unread import unread
from firstlight.system import files

# By bit number, as in linux/capability.h.
_CAPABILITIES = (
    "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE "
    "NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN "
    "SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE "
    "MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE"
).split()


def collect() -> Confinement:
    """User, capabilities, seccomp, cgroup and security label of this process."""
    status = _status()
    return Confinement(
        uid=os.geteuid(),
        gid=os.getegid(),
        groups=tuple(sorted(os.getgroups())),
        capabilities=_capabilities(status),
        seccomp=_seccomp(status),
        cgroup=_lines("/proc/self/cgroup"),
        # Only cgroup v1 can be asked; v2 keeps its rules in a BPF program that nobody inside can read.
        device_rules=_lines("/sys/fs/cgroup/devices/devices.list"),
        is_pid1=os.getpid() == 1,
        security_label=_label(),
    )


def _status() -> dict[str, str] | Unknown:
    try:
        text = files.read_text("/proc/self/status")
    except OSError as error:
        return unread("/proc/self/status", error)
    return {name: value.strip() for name, _, value in (line.partition(":") for line in text.splitlines())}


def _capabilities(status: dict[str, str] | Unknown) -> tuple[str, ...] | Unknown:
    if isinstance(status, Unknown):
        return status
    try:
        bits = int(status["CapEff"], 16)
    except (KeyError, ValueError):
        return Unknown("/proc/self/status has no CapEff")
    return tuple(f"CAP_{name}" for number, name in enumerate(_CAPABILITIES) if bits >> number & 1)


def _seccomp(status: dict[str, str] | Unknown) -> int | Unknown:
    if isinstance(status, Unknown):
        return status
    value = status.get("Seccomp", "")
    return int(value) if value.isdigit() else Unknown("/proc/self/status has no Seccomp")


def _lines(path: str) -> tuple[str, ...] | Unknown:
    try:
        return tuple(files.read_text(path).splitlines())
    except OSError as error:
        return unread(path, error)


def _label() -> str | Unknown:
    path = "/proc/self/attr/current"
    try:
        return files.read_text(path).rstrip("\0\n")
    except OSError as error:
        return unread(path, error)
