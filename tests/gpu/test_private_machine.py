"""The private machines of the GPU suite, tried without a GPU: what enter.py promises holds, or it says why it cannot be had."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from box import Box, Node, from_json
from private import Start, start

pytestmark = pytest.mark.root

CONTROL = Node(name="nvidiactl", major=195, minor=255)
WAIT_FOR_GPU = "while [ ! -e /dev/nvidia0 ]; do sleep 0.02; done; ls /dev/nvidia*"


def enter(box: Box, *argv: str, directory: Path, limit: float = 30.0) -> Start:
    """Run a command in a box; skip where this machine has no private namespaces for us."""
    if os.geteuid():
        pytest.skip("private machines need root")
    done = start(box, list(argv), environment={"PATH": os.environ["PATH"]}, directory=directory, limit=limit)
    if "cannot" in done.report and "namespace" in done.report["cannot"]:
        pytest.skip(done.report["cannot"])
    return done


def test_the_private_dev_holds_the_nodes_of_the_box_and_leaves_the_machine_alone(tmp_path: Path) -> None:
    before = sorted(os.listdir("/dev"))
    plain = Node(name="nvidia0", plain_file=True, mode=0o640)
    done = enter(Box(nodes=(CONTROL, plain)), "stat", "-c", "%n %F %a %t:%T", "/dev/nvidiactl", "/dev/nvidia0", directory=tmp_path)
    assert done.output.splitlines() == ["/dev/nvidiactl character special file 666 c3:ff", "/dev/nvidia0 regular empty file 640 0:0"]
    assert sorted(os.listdir("/dev")) == before


def test_the_command_is_pid_1_and_its_exit_code_comes_back(tmp_path: Path) -> None:
    done = enter(Box(nodes=()), "sh", "-c", "readlink /proc/self; echo $$; exit 7", directory=tmp_path)
    assert done.output.split()[-1] == "1"
    assert done.report["exit"] == 7


def test_a_late_node_appears_while_the_command_runs_and_its_time_is_told(tmp_path: Path) -> None:
    box = Box(nodes=(CONTROL, Node(name="nvidia0", major=195, after=0.2)))
    done = enter(box, "sh", "-c", WAIT_FOR_GPU, directory=tmp_path)
    assert done.output.split() == ["/dev/nvidia0", "/dev/nvidiactl"]
    assert done.report["started"] < done.report["appeared"]["nvidia0"] < done.report["ended"]


@pytest.mark.parametrize(("may_mknod", "expected"), [(True, 0), (False, 1)])
def test_nodes_can_be_made_only_where_the_box_allows_it(tmp_path: Path, may_mknod: bool, expected: int) -> None:
    done = enter(Box(nodes=(), may_mknod=may_mknod), "mknod", "/dev/nvidia0", "c", "195", "0", directory=tmp_path)
    assert done.report["exit"] == expected


def test_a_denied_major_cannot_be_opened_though_its_node_is_there(tmp_path: Path) -> None:
    done = enter(Box(nodes=(), denied_major=1), "head", "-c1", "/dev/zero", directory=tmp_path)
    if "cannot" in done.report:
        pytest.skip(done.report["cannot"])
    assert done.report["exit"] == 1
    assert "Operation not permitted" in done.errors[-1][1]


def test_the_user_and_the_limits_are_those_of_the_box(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    box = Box(nodes=(), user=65534, descriptors=(32, 64), address_space=(4 << 30, -1))
    done = enter(box, "sh", "-c", "id -u; id -G; ulimit -S -n; ulimit -H -n; ulimit -S -v; ulimit -H -v", directory=Path("/"))
    assert done.output.split() == ["65534", "65534", "32", "64", str(4 << 20), "unlimited"]


def test_a_command_that_outstays_its_limit_is_ended(tmp_path: Path) -> None:
    done = enter(Box(nodes=()), "sleep", "600", directory=tmp_path, limit=0.2)
    assert (done.report["exit"], done.report["overdue"]) == (-9, True)


def test_a_command_that_does_not_exist_is_a_reason_and_no_crash(tmp_path: Path) -> None:
    done = enter(Box(nodes=()), "no-such-command", directory=tmp_path)
    assert done.report == {"cannot": "No such file or directory"}


def test_each_line_of_stderr_has_its_time(tmp_path: Path) -> None:
    done = enter(Box(nodes=()), sys.executable, "-c", "import sys; print('one\\ntwo', file=sys.stderr)", directory=tmp_path)
    assert [text for _, text in done.errors] == ["one", "two"]
    assert all(at >= done.report["started"] for at, _ in done.errors)


def test_a_box_survives_the_trip_through_json() -> None:
    box = Box(nodes=(CONTROL, Node(name="nvidia0", after=2.0)), user=1, descriptors=(1, 2), environment={"A": None, "B": "b"})
    assert from_json(box.to_json()) == box
