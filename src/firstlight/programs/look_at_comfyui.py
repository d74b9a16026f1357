"""Look at what ComfyUI will find when it is started: its port, its packages, its folders, its models. Nothing is imported of it.

    argument    {"command": [WORD, …], "port": N, "model": NAME}     an empty NAME: every model of VibeVoice that is there
    lines       port, packages, folders, models: each as soon as it is known, since a folder can lie on a volume that hangs

Run by the app's own interpreter, so that its packages are those that the app will have, and PyYAML is there to read its configuration.
"""

import glob
import json
import os
import re
import shlex
import socket
import struct
import sys
from typing import Any, Dict, List, Optional, Tuple

# Where the node packs of VibeVoice keep their models, below ComfyUI's folder of models.
MODEL_ROOMS = ("vibevoice", "tts/VibeVoice")
PACKAGES = ("comfyui-frontend-package", "diffusers", "huggingface_hub", "torch", "transformers")
HEADER_LIMIT = 64 << 20  # bytes of a header of safetensors; a longer one is damage
VERSION_LIMIT = 64 << 10


def say(step: str, **fields: Any) -> None:
    """Print one step, at once and in one write."""
    fields["step"] = step
    os.write(1, (json.dumps(fields) + "\n").encode("utf-8", "backslashreplace"))


class Command:
    """ComfyUI's command line, also where a shell is to read it."""

    def __init__(self, command: List[str]) -> None:
        self.words: List[str] = []
        for word in command:
            try:
                self.words += shlex.split(word) if " " in word else [word]
            except ValueError:
                self.words.append(word)
        folder = next((self.words[at + 1].rstrip(";&") for at, word in enumerate(self.words[:-1]) if word == "cd"), "")
        script = next((word for word in self.words if word.rpartition("/")[2] == "main.py"), "")
        self.folder = os.path.dirname(os.path.abspath(os.path.join(folder, script))) if script else ""
        self.base = self.value("--base-directory") or self.folder

    def has(self, *flags: str) -> bool:
        """Whether one of the flags is given."""
        return any(word.partition("=")[0] in flags for word in self.words)

    def values(self, flag: str) -> List[str]:
        """All values of a flag, which may be repeated and may take several."""
        found: List[str] = []
        for at, word in enumerate(self.words):
            name, equals, value = word.partition("=")
            if name == flag and equals:
                found.append(value)
            elif word == flag:
                for following in self.words[at + 1 :]:
                    if following.startswith("-"):
                        break
                    found.append(following)
        return found

    def value(self, flag: str) -> str:
        """The last value of a flag; empty where it is not given."""
        return (self.values(flag) or [""])[-1]


# The port


def holder(addresses: List[str], port: int) -> str:
    """Who holds the port on one of these addresses: "" for nobody."""
    for address in addresses:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        try:
            with socket.socket(family, socket.SOCK_STREAM) as attempt:
                attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as asyncio does: what only lingers is no hindrance
                if family == socket.AF_INET6:
                    attempt.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                attempt.bind((address, port))
                attempt.listen(1)
        except OSError as error:
            if error.errno == 98:  # EADDRINUSE
                return owner(port)
    return ""


def owner(port: int) -> str:
    """The process that listens on a port, as far as we may see it."""
    sockets = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            with open(table) as lines:
                for row in list(lines)[1:]:
                    fields = row.split()
                    if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                        sockets.add("socket:[{}]".format(fields[9]))
        except (OSError, ValueError, IndexError):
            continue
    for link in glob.iglob("/proc/[0-9]*/fd/*"):
        try:
            if os.readlink(link) in sockets:
                pid = link.split("/")[2]
                with open("/proc/{}/comm".format(pid)) as name:
                    return "pid {} ({})".format(pid, name.read().strip())
        except OSError:
            continue
    return "somebody"


# The packages


def packages() -> Dict[str, Optional[str]]:
    """The versions in this interpreter, by name; None for what is not installed."""
    from importlib import metadata

    found: Dict[str, Optional[str]] = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = None
    return found


def torch_cuda() -> Optional[str]:
    """The CUDA that torch is built for, out of its own file, since its import takes seconds. "" for none, None where that cannot be told."""
    from importlib import machinery

    spec = machinery.PathFinder.find_spec("torch")
    for folder in spec.submodule_search_locations or () if spec is not None else ():
        try:
            with open(os.path.join(folder, "version.py")) as lines:
                match = re.search(r"^cuda(?:\s*:[^=\n]*)?\s*=\s*(None|'[^'\n]*'|\"[^\"\n]*\")", lines.read(VERSION_LIMIT), re.MULTILINE)
        except OSError:
            continue
        if match:
            return "" if match.group(1) == "None" else match.group(1)[1:-1]
    return None


# The folders


def configurations(command: Command) -> List[str]:
    """The files of more paths that ComfyUI reads."""
    own = os.path.join(command.folder, "extra_model_paths.yaml")
    return ([own] if command.folder and os.path.isfile(own) else []) + command.values("--extra-model-paths-config")


def extra_paths(path: str) -> List[Tuple[str, str]]:
    """The sort and the path of each folder that a file names, as ComfyUI understands it (utils/extra_config.py)."""
    import yaml  # type: ignore[import-untyped,unused-ignore]  # ComfyUI's own reader

    with open(path, encoding="utf-8") as stream:
        content = yaml.safe_load(stream) or {}
    room = os.path.dirname(os.path.abspath(path))
    found: List[Tuple[str, str]] = []
    for section in content.values():
        base = os.path.expandvars(os.path.expanduser((section or {}).get("base_path") or ""))
        for sort, texts in (section or {}).items():
            if sort not in ("base_path", "is_default"):
                found += [(sort, os.path.normpath(os.path.join(room, base, text))) for text in str(texts).split("\n") if text]
    return found


def missing(command: Command, extra: Dict[str, List[Tuple[str, str]]]) -> List[List[str]]:
    """The folders of custom nodes that are not there, each with what names it: ComfyUI lists them before all else."""
    if command.has("--disable-all-custom-nodes"):
        return []
    found = [
        [folder, path]
        for path, folders in extra.items()
        for sort, folder in folders
        if sort == "custom_nodes" and not os.path.isdir(folder)
    ]
    own = os.path.join(command.base, "custom_nodes")
    if command.base and not os.path.isdir(own):
        found.append([own, "--base-directory" if command.has("--base-directory") else "ComfyUI"])
    return found


def nodes(command: Command, extra: Dict[str, List[Tuple[str, str]]]) -> List[str]:
    """The names of the node packs that are there."""
    rooms = [os.path.join(command.base, "custom_nodes")] if command.base else []
    rooms += [folder for folders in extra.values() for sort, folder in folders if sort == "custom_nodes"]
    return [name for room in rooms if os.path.isdir(room) for name in os.listdir(room) if not name.endswith(".disabled")]


def manager_online(command: Command) -> str:
    """The configuration of ComfyUI-Manager that lets it fetch during the start; empty where it does not."""
    user = command.value("--user-directory") or os.path.join(command.base, "user")
    path = os.path.join(user, "default", "ComfyUI-Manager", "config.ini")
    try:
        with open(path, encoding="utf-8") as lines:
            match = re.search(r"^\s*network_mode\s*=\s*(\w+)", lines.read(VERSION_LIMIT), re.MULTILINE)
    except (OSError, ValueError):
        return ""
    mode = match.group(1) if match else "public"
    return "" if mode == "offline" else "network_mode = {} in {}".format(mode, path)


# The models


def model_folders(command: Command, extra: Dict[str, List[Tuple[str, str]]], name: str) -> List[str]:
    """The folders of VibeVoice's models: that of this name, or all."""
    rooms = [os.path.join(command.base, "models", room) for room in MODEL_ROOMS] if command.base else []
    rooms += [os.path.join(folder, room) for folders in extra.values() for _, folder in folders for room in (*MODEL_ROOMS, "VibeVoice")]
    rooms += [folder for folders in extra.values() for sort, folder in folders if sort in ("vibevoice", "tts")]
    found = [os.path.join(room, name or "*") for room in dict.fromkeys(rooms)]
    folders = [folder for pattern in found for folder in ([pattern] if name else sorted(glob.glob(pattern)))]
    return [folder for folder in folders if os.path.isfile(os.path.join(folder, "config.json"))]


def look_at_model(folder: str) -> Dict[str, Any]:
    """Whether a model's files are there as a whole, and what it will ask the hub for."""
    lacks = []
    try:
        with open(os.path.join(folder, "model.safetensors.index.json"), encoding="utf-8") as stream:
            shards = sorted(set(json.load(stream)["weight_map"].values()))
    except OSError:
        shards = sorted(name for name in os.listdir(folder) if name.endswith(".safetensors"))
        if not shards:
            lacks.append("there is no safetensors file in it")
    except (ValueError, KeyError, TypeError, AttributeError):
        shards = []
        lacks.append("model.safetensors.index.json is cut off or damaged")
    for shard in shards:
        words = lack_of(os.path.join(folder, os.path.basename(str(shard))))
        if words:
            lacks.append("{} {}".format(shard, words))
    named_in = os.path.join(folder, "preprocessor_config.json")
    repository = ""
    try:
        with open(named_in, encoding="utf-8") as stream:
            repository = str(json.load(stream).get("language_model_pretrained_name") or "")
    except (OSError, ValueError, AttributeError):
        pass
    if os.path.isdir(repository) or not re.match(r"[\w.-]+/[\w.-]+\Z", repository):
        repository = ""
    return {
        "folder": folder,
        "lacks": lacks,
        "reaches_for": repository,
        "named_in": named_in,
        "cached": bool(repository) and cached(repository),
    }


def lack_of(path: str) -> str:
    """What a file of safetensors lacks, in words: its header says how long it is. Empty where it is whole."""
    try:
        size = os.stat(path).st_size
        with open(path, "rb") as stream:
            head = stream.read(8)
            length = struct.unpack("<Q", head)[0] if len(head) == 8 else HEADER_LIMIT + 1
            if length > HEADER_LIMIT:
                return "has no header"
            header = json.loads(stream.read(length))
        end = max((entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"), default=0)
    except FileNotFoundError:
        return "is not there"
    except OSError as error:
        return "cannot be read: {}".format(error.strerror)
    except (ValueError, KeyError, TypeError, AttributeError):
        return "has a header that is cut off or damaged"
    whole = 8 + length + end
    return "" if size >= whole else "is {} bytes long, of {}".format(size, whole)


def cached(repository: str) -> bool:
    """Whether a repository lies in the hub's cache. Only then does the app do without the hub."""
    home = os.environ.get("HF_HOME") or os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "huggingface")
    room = os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE") or os.path.join(home, "hub")
    pattern = os.path.join(glob.escape(room), "models--" + repository.replace("/", "--"), "snapshots", "*", "tokenizer*.json")
    return bool(glob.glob(pattern))


def main() -> None:
    """Look, and say."""
    order = json.loads(sys.argv[1])
    command = Command(order["command"])
    listen = command.values("--listen")
    addresses = ",".join(listen) if listen else ("0.0.0.0,::" if command.has("--listen") else "127.0.0.1")
    say("port", holder=holder(addresses.split(","), order["port"]))
    if order.get("interpreter"):
        say("packages", packages=packages(), torch_cuda=torch_cuda())
    try:
        extra = {path: extra_paths(path) for path in configurations(command)}
    except Exception as error:  # no PyYAML, no such file, no YAML: the app will say so itself
        say("unread", words="{}: {}".format(type(error).__name__, error))
        extra = {}
    packs = nodes(command, extra)
    frontend = not command.has("--front-end-root", "--front-end-version")
    folders = {
        "missing": missing(command, extra),
        "manager_online": manager_online(command) if any("manager" in name.lower() for name in packs) else "",
    }
    say("folders", needs_frontend=frontend, packs=packs, **folders)
    say("models", models=[look_at_model(folder) for folder in model_folders(command, extra, order.get("model", ""))])
