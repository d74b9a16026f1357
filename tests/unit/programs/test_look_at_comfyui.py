"""The look at what ComfyUI will find, on real folders, files and sockets."""

from __future__ import annotations

import json
import os
import socket
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from firstlight.programs import look_at_comfyui
from firstlight.system.process import program


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A folder as ComfyUI's own."""
    for name in ("custom_nodes", "models/vibevoice", "user/default"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "main.py").touch()
    return tmp_path


def look(*command: str, port: int = 0, model: str = "", **variables: str) -> dict[str, Any]:
    """What the program says about a command, by step."""
    order = json.dumps({"command": list(command), "port": port, "model": model, "interpreter": True})
    argv = program("look_at_comfyui", order, interpreter=sys.executable)
    done = subprocess.run(argv, env={**os.environ, **variables}, capture_output=True, text=True, check=True, timeout=60)
    return {step.pop("step"): step for step in map(json.loads, done.stdout.splitlines())}


def write_shard(path: Path, *, missing: int = 0) -> None:
    """A file of safetensors with one tensor of 64 bytes, of which some are missing."""
    header = json.dumps({"__metadata__": {}, "weight": {"dtype": "F32", "shape": [16], "data_offsets": [0, 64]}}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(64 - missing))


def make_model(folder: Path, shards: int = 2) -> Path:
    """A model that is whole."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    names = [f"model-{number}-of-{shards}.safetensors" for number in range(1, shards + 1)]
    for name in names:
        write_shard(folder / name)
    index = {"metadata": {"total_size": 64 * shards}, "weight_map": {f"weight{number}": name for number, name in enumerate(names)}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return folder


def test_a_port_that_is_free_is_held_by_nobody_and_one_that_is_taken_by_a_process(base: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        name = Path("/proc/self/comm").read_text().strip()
        assert look(f"{base}/main.py", port=port)["port"] == {"holder": f"pid {os.getpid()} ({name})"}
        assert look(f"{base}/main.py", "--listen", port=port)["port"]["holder"]
        assert look(f"{base}/main.py", "--listen", "127.0.0.9", port=port)["port"] == {"holder": ""}
    assert look(f"{base}/main.py", port=port)["port"] == {"holder": ""}


def test_a_connection_that_lingers_does_not_hold_the_port(base: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            server.accept()[0].close()  # the side of the server waits, as after every restart

    assert look(f"{base}/main.py", port=port)["port"] == {"holder": ""}


def test_the_packages_are_those_of_the_interpreter(base: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    for name, version in (("transformers", "5.23.0"), ("torch", "2.13.0+cpu")):
        (site / f"{name}-{version}.dist-info").mkdir(parents=True)
        (site / f"{name}-{version}.dist-info/METADATA").write_text(f"Name: {name}\nVersion: {version}\n")
    (site / "torch").mkdir()
    (site / "torch/__init__.py").write_text("raise SystemExit('it is never imported')\n")
    (site / "torch/version.py").write_text("__version__ = '2.13.0+cpu'\ncuda: Optional[str] = None\n")

    said = look(f"{base}/main.py", PYTHONPATH=str(site))["packages"]
    assert (said["packages"]["transformers"], said["packages"]["torch"], said["torch_cuda"]) == ("5.23.0", "2.13.0+cpu", "")
    assert said["packages"]["diffusers"] is None

    (site / "torch/version.py").write_text("cuda: Optional[str] = '12.8'\n")
    assert look(f"{base}/main.py", PYTHONPATH=str(site))["packages"]["torch_cuda"] == "12.8"
    (site / "torch/version.py").write_text("something else\n")
    assert look(f"{base}/main.py", PYTHONPATH=str(site))["packages"]["torch_cuda"] is None


def test_a_missing_folder_of_nodes_is_told_with_what_names_it(base: Path, tmp_path: Path) -> None:
    assert look(f"{base}/main.py")["folders"]["missing"] == []
    (base / "custom_nodes").rmdir()
    assert look(f"{base}/main.py")["folders"]["missing"] == [[f"{base}/custom_nodes", "ComfyUI"]]
    assert look(f"{base}/main.py", "--disable-all-custom-nodes")["folders"]["missing"] == []
    assert look("sh", "-c", f"cd {base} && exec python main.py")["folders"]["missing"] == [[f"{base}/custom_nodes", "ComfyUI"]]
    other = tmp_path / "other"
    assert look(f"{base}/main.py", f"--base-directory={other}")["folders"]["missing"] == [[f"{other}/custom_nodes", "--base-directory"]]


def test_a_configuration_that_cannot_be_read_is_left_to_the_app(base: Path) -> None:
    (base / "extra_model_paths.yaml").write_text("pod: [\n")

    said = look(f"{base}/main.py")

    assert said["unread"]["words"]
    assert said["folders"]["missing"] == []


@pytest.mark.parametrize(
    ("content", "online"),
    [("[default]\nnetwork_mode = offline\n", ""), ("[default]\nnetwork_mode = public\n", "network_mode = public in ")],
)
def test_the_manager_is_online_unless_told_otherwise(base: Path, content: str, online: str) -> None:
    (base / "custom_nodes/ComfyUI-Manager").mkdir()
    (base / "user/default/ComfyUI-Manager").mkdir()
    (base / "user/default/ComfyUI-Manager/config.ini").write_text(content)

    found = look(f"{base}/main.py")["folders"]["manager_online"]

    assert found.startswith(online)
    assert bool(found) is bool(online)


def test_a_model_is_whole_or_says_what_it_lacks(base: Path) -> None:
    room = base / "models/vibevoice"
    make_model(room / "whole")
    write_shard(make_model(room / "cut") / "model-1-of-2.safetensors", missing=1)
    (make_model(room / "half") / "model-2-of-2.safetensors").unlink()
    (make_model(room / "torn") / "model-1-of-2.safetensors").write_bytes(b"\x10")
    (make_model(room / "damaged") / "model.safetensors.index.json").write_text('{"weight_map"')
    (room / "tokenizer").mkdir()

    models = {Path(model["folder"]).name: model["lacks"] for model in look(f"{base}/main.py")["models"]["models"]}

    assert set(models) == {"whole", "cut", "half", "torn", "damaged"}
    assert models["whole"] == []
    size = (room / "whole/model-1-of-2.safetensors").stat().st_size
    assert models["cut"] == [f"model-1-of-2.safetensors is {size - 1} bytes long, of {size}"]
    assert models["half"] == ["model-2-of-2.safetensors is not there"]
    assert models["torn"] == ["model-1-of-2.safetensors has no header"]
    assert models["damaged"] == ["model.safetensors.index.json is cut off or damaged"]
    assert [model["folder"] for model in look(f"{base}/main.py", model="half")["models"]["models"]] == [str(room / "half")]


def test_what_a_model_asks_the_hub_for_is_told_and_whether_the_cache_has_it(base: Path, tmp_path: Path) -> None:
    model = make_model(base / "models/vibevoice/named")
    told = model / "preprocessor_config.json"

    told.write_text(json.dumps({"language_model_pretrained_name": "Qwen/Qwen2.5-1.5B"}))
    (found,) = look(f"{base}/main.py", HF_HOME=str(tmp_path / "hf"))["models"]["models"]
    assert (found["reaches_for"], found["named_in"], found["cached"]) == ("Qwen/Qwen2.5-1.5B", str(told), False)

    snapshot = tmp_path / "hf/hub/models--Qwen--Qwen2.5-1.5B/snapshots/8faed761"
    snapshot.mkdir(parents=True)
    (snapshot / "tokenizer.json").touch()
    (found,) = look(f"{base}/main.py", HF_HOME=str(tmp_path / "hf"))["models"]["models"]
    assert found["cached"] is True

    told.write_text(json.dumps({"language_model_pretrained_name": str(base / "models/vibevoice")}))
    (found,) = look(f"{base}/main.py")["models"]["models"]
    assert found["reaches_for"] == ""


@pytest.mark.parametrize(
    ("command", "values"),
    [
        (["main.py", "--listen", "1.2.3.4", "--port", "1"], ["1.2.3.4"]),
        (["main.py", "--listen=1.2.3.4"], ["1.2.3.4"]),
        (["main.py", "--listen", "--port", "1"], []),
        (["sh", "-c", "python main.py --listen 1.2.3.4 'x"], []),
        (["sh", "-c", "python main.py --listen 1.2.3.4"], ["1.2.3.4"]),
    ],
)
def test_a_flag_is_read_as_comfyui_does(command: list[str], values: list[str]) -> None:
    assert look_at_comfyui.Command(command).values("--listen") == values
