"""Look once whether a new process could still use the GPUs, and what NVML and the kernel say of them.

    watch_gpu.py LOG PATH...

LOG is the number of an open, non-blocking /dev/kmsg, or "-". Its position is kept by whoever opened it, so each look reads
what is new since the last one. Each PATH is a device node that is opened for real, named before it is opened.

This runs for as long as an app does, twice a minute, so it is cheap: nvidia-ml-py alone would cost more than all of this.
It asks libnvidia-ml directly, for less than nvml_facts.py does, and says it in the same lines: xid, log, driver, opening
and opened (for each node), init, count (only where NVML refuses to tell it), asking and gpu (for each GPU), done.
"""

from __future__ import annotations

import ctypes
import os
import sys

try:
    from _json import encode_basestring_ascii as quoted
except ImportError:  # another Python than CPython
    from json.encoder import py_encode_basestring_ascii as quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Iterator, Optional

LOST = (15, 16)  # NVML_ERROR_GPU_IS_LOST, NVML_ERROR_RESET_REQUIRED
LIBRARY_NOT_FOUND = 12
FUNCTION_NOT_FOUND = 13
INSUFFICIENT_SIZE = 7
UNCORRECTED, VOLATILE = 1, 0
RECOVERY_ACTION = 230  # NVML_FI_DEV_GET_GPU_RECOVERY_ACTION
NOT_AVAILABLE = (1 << 64) - 1  # NVML_VALUE_NOT_AVAILABLE, for a process whose memory NVML does not tell
VERSION_FILE = "/proc/driver/nvidia/version"

# One record of the kernel's log is at most 8 KiB; a smaller buffer is refused. The log itself holds fewer records than this.
RECORD = 8192
RECORDS = 100_000


class Pci(ctypes.Structure):
    """nvmlPciInfo_t"""

    _fields_ = [
        ("legacy", ctypes.c_char * 16),
        ("numbers", ctypes.c_uint * 5),
        ("bus_id", ctypes.c_char * 32),
    ]


class Memory(ctypes.Structure):
    """nvmlMemory_t"""

    _fields_ = [("total", ctypes.c_ulonglong), ("free", ctypes.c_ulonglong), ("used", ctypes.c_ulonglong)]


class Process(ctypes.Structure):
    """nvmlProcessInfo_v2_t, which nvmlDeviceGetComputeRunningProcesses_v3 gives as well"""

    _fields_ = [
        ("pid", ctypes.c_uint),
        ("memory", ctypes.c_ulonglong),
        ("gpu_instance", ctypes.c_uint),
        ("compute_instance", ctypes.c_uint),
    ]


class Field(ctypes.Structure):
    """nvmlFieldValue_t; its union is taken for the unsigned integer that the one field we ask for holds"""

    _fields_ = [
        ("field", ctypes.c_uint),
        ("scope", ctypes.c_uint),
        ("timestamp", ctypes.c_longlong),
        ("latency", ctypes.c_longlong),
        ("kind", ctypes.c_uint),
        ("code", ctypes.c_uint),
        ("value", ctypes.c_ulonglong),
    ]


class Fabric(ctypes.Structure):
    """nvmlGpuFabricInfo_v2_t"""

    _fields_ = [
        ("version", ctypes.c_uint),
        ("cluster", ctypes.c_ubyte * 16),
        ("status", ctypes.c_uint),
        ("clique", ctypes.c_uint),
        ("state", ctypes.c_ubyte),
        ("health", ctypes.c_uint),
    ]


class Refused(Exception):  # noqa: N818 - it carries an answer
    """NVML gave another code than 0."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


def say(step: str, **fields: Any) -> None:
    """Print one step, at once and in one write."""
    fields["step"] = step
    os.write(1, (encoded(fields) + "\n").encode("ascii"))


def encoded(value: Any) -> str:
    """A value as JSON. The module `json` brings `re`, and would cost a look a sixth of its time."""
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, dict):
        return "{" + ", ".join("{}: {}".format(quoted(name), encoded(item)) for name, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(encoded, value)) + "]"
    return {None: "null", True: "true", False: "false"}[value] if value is None or isinstance(value, bool) else str(int(value))


# --- the kernel's log -------------------------------------------------------------------------------------------------


def read_log(descriptor: int) -> None:
    """Tell each Xid that the kernel has reported since the last look. Never waits."""
    try:
        for line in log_lines(descriptor):
            found = xid(line)
            if found is not None:
                say("xid", **found)
    except OSError as error:
        say("log", errno=error.errno)
    else:
        say("log", errno=0)


def log_lines(descriptor: int) -> Iterator[str]:
    """The lines of all new records."""
    for _ in range(RECORDS):
        try:
            record = os.read(descriptor, RECORD)
        except BlockingIOError:
            return
        except BrokenPipeError:
            continue  # records were overwritten before we came; the next read goes on with the oldest there is
        if not record:
            return
        for line in record.decode("utf-8", "replace").split("\n"):
            yield line


def xid(line: str) -> Optional[dict[str, Any]]:
    """The Xid in a line such as "3,1207,5140900,-;NVRM: Xid (PCI:0000:19:00): 79, GPU has fallen off the bus."; else None.

    A line that a process has written into the log, as root can, has a number of 8 or more in front.
    """
    head, _, message = line.partition(";")
    priority = head.partition(",")[0]
    before, found, rest = message.partition("NVRM: Xid (")
    place, _, tail = rest.partition(")")
    number = tail.partition(": ")[2].partition(",")[0].strip()
    if not found or before.strip() or not number.isdigit() or not priority.isdigit() or int(priority) > 7:
        return None
    return {"number": int(number), "bus_id": place.replace("PCI:", "").lower(), "text": message.strip()}


# --- the nodes --------------------------------------------------------------------------------------------------------


def read_version() -> None:
    """Tell the kernel driver's own version. Another file beside this one could block behind a sick GPU; this one cannot."""
    try:
        with open(VERSION_FILE, "rb") as file:
            text = file.read(4096)
    except OSError as error:
        say("driver", errno=error.errno)
    else:
        say("driver", errno=0, text=text.decode("utf-8", "replace"))


def open_node(path: str) -> None:
    """Open a node as CUDA would. It is named first, so that a hang tells which one it was."""
    say("opening", path=path)
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CLOEXEC))
    except OSError as error:
        say("opened", path=path, errno=error.errno)
    else:
        say("opened", path=path, errno=0)


# --- NVML -------------------------------------------------------------------------------------------------------------


class Nvml:
    """libnvidia-ml, as far as it is needed here."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self.library = library

    def call(self, name: str, *arguments: Any) -> None:
        """Call a function of that name; raises Refused where it gives another code than 0."""
        function = getattr(self.library, name, None)
        code = FUNCTION_NOT_FOUND if function is None else function(*arguments)
        if code:
            raise Refused(code)

    def text(self, name: str, *arguments: Any) -> str:
        """What a function writes into a buffer."""
        buffer = ctypes.create_string_buffer(96)
        self.call(name, *arguments, buffer, ctypes.c_uint(96))
        return buffer.value.decode("utf-8", "replace")

    def number(self, name: str, *arguments: Any) -> int:
        """What a function writes into an unsigned int."""
        value = ctypes.c_uint()
        self.call(name, *arguments, ctypes.byref(value))
        return value.value


def ask_nvml() -> None:
    """Start NVML and ask it for each GPU."""
    try:
        nvml = Nvml(ctypes.CDLL("libnvidia-ml.so.1"))
    except OSError as error:
        say("init", code=LIBRARY_NOT_FOUND, text=str(error))
        return
    try:
        nvml.call("nvmlInit_v2")
    except Refused as refused:
        say("init", code=refused.code)
        return
    say("init", code=0, driver_version=attempt(lambda: nvml.text("nvmlSystemGetDriverVersion")))
    try:
        count = nvml.number("nvmlDeviceGetCount_v2")
    except Refused as refused:
        say("count", error=refused.code)
        return
    for index in range(count):
        say("asking", index=index)
        say("gpu", **describe(nvml, index))
    say("done")


def attempt(ask: Callable[[], Any]) -> Any:
    """What `ask` returns, or {"error": code} when NVML refuses."""
    try:
        return ask()
    except Refused as refused:
        return {"error": refused.code}


def describe(nvml: Nvml, index: int) -> dict[str, Any]:
    """What matters of one GPU that is in use."""
    handle = ctypes.c_void_p()
    try:
        nvml.call("nvmlDeviceGetHandleByIndex_v2", ctypes.c_uint(index), ctypes.byref(handle))
    except Refused as refused:
        return {"index": index, "error": refused.code}
    memory = attempt(lambda: memory_of(nvml, handle))
    users = attempt(lambda: users_of(nvml, handle))
    found = {
        "uuid": attempt(lambda: nvml.text("nvmlDeviceGetUUID", handle)),
        "minor": attempt(lambda: nvml.number("nvmlDeviceGetMinorNumber", handle)),
        "bus_id": attempt(lambda: bus_id_of(nvml, handle)),
        "memory_total": memory if isinstance(memory, dict) else memory.total,
        "memory_used": memory if isinstance(memory, dict) else memory.used,
        "fabric": attempt(lambda: fabric_of(nvml, handle)),
        "recovery_action": attempt(lambda: recovery_action_of(nvml, handle)),
        "ecc_uncorrected": attempt(lambda: ecc_of(nvml, handle)),
        "remapped_rows": attempt(lambda: remapped_rows_of(nvml, handle)),
        "users": users,
        "processes": users if isinstance(users, dict) else len(users),
    }
    # A lost GPU answers some questions from memory; its first real error is the answer that counts.
    errors = [answer["error"] for answer in found.values() if isinstance(answer, dict) and answer.get("error") in LOST]
    return dict(found, index=index, error=errors[0] if errors else 0)


def bus_id_of(nvml: Nvml, handle: ctypes.c_void_p) -> str:
    """Where it sits, "00000000:8d:00.0"."""
    pci = Pci()
    nvml.call("nvmlDeviceGetPciInfo_v3", handle, ctypes.byref(pci))
    return str(pci.bus_id.decode("ascii", "replace")).lower()


def memory_of(nvml: Nvml, handle: ctypes.c_void_p) -> Memory:
    """Its memory, in bytes."""
    memory = Memory()
    nvml.call("nvmlDeviceGetMemoryInfo", handle, ctypes.byref(memory))
    return memory


def fabric_of(nvml: Nvml, handle: ctypes.c_void_p) -> dict[str, int]:
    """State and status of the NVSwitch fabric."""
    fabric = Fabric(version=ctypes.sizeof(Fabric) | 2 << 24)
    nvml.call("nvmlDeviceGetGpuFabricInfoV", handle, ctypes.byref(fabric))
    return {"state": fabric.state, "status": fabric.status}


def recovery_action_of(nvml: Nvml, handle: ctypes.c_void_p) -> int:
    """NVML's word on who must act: 0 none, 1 reset the GPU, 2 reboot the node, and so on."""
    field = Field(field=RECOVERY_ACTION)
    nvml.call("nvmlDeviceGetFieldValues", handle, 1, ctypes.byref(field))
    if field.code:
        raise Refused(field.code)
    return int(field.value) & 0xFFFFFFFF


def ecc_of(nvml: Nvml, handle: ctypes.c_void_p) -> int:
    """Errors of its memory that could not be corrected, since the driver was loaded."""
    count = ctypes.c_ulonglong()
    nvml.call("nvmlDeviceGetTotalEccErrors", handle, UNCORRECTED, VOLATILE, ctypes.byref(count))
    return count.value


def remapped_rows_of(nvml: Nvml, handle: ctypes.c_void_p) -> list[int]:
    """Rows remapped after correctable and uncorrectable errors, whether one waits, whether one failed."""
    values = [ctypes.c_uint() for _ in range(4)]
    nvml.call("nvmlDeviceGetRemappedRows", handle, *map(ctypes.byref, values))
    return [value.value for value in values]


def users_of(nvml: Nvml, handle: ctypes.c_void_p) -> list[dict[str, Any]]:
    """The compute processes on it that NVML shows to this container, and whether each is one of it."""
    room = 64
    while True:
        count, found = ctypes.c_uint(room), (Process * room)()
        try:
            nvml.call("nvmlDeviceGetComputeRunningProcesses_v3", handle, ctypes.byref(count), found)
        except Refused as refused:
            if refused.code != INSUFFICIENT_SIZE or room >= 1 << 16:
                raise
            room *= 4
        else:
            break
    return [
        {
            "pid": user.pid,
            "memory": None if user.memory == NOT_AVAILABLE else user.memory,
            "here": user.pid > 0 and os.path.exists(f"/proc/{user.pid}"),
        }
        for user in found[: count.value]
    ]


def main() -> None:
    """Look once."""
    log, paths = sys.argv[1], sys.argv[2:]
    if log.isdigit():
        read_log(int(log))
    read_version()
    for path in paths:
        open_node(path)
    ask_nvml()


if __name__ == "__main__":
    main()
