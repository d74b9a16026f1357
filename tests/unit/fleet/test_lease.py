from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from firstlight.fleet import lease as leases
from firstlight.fleet.lease import STOP, TERMINATE, Duty, Lease, LeaseError


def test_what_is_promised_is_on_disk_and_its_owner_holds_it(tmp_path):
    lease = Lease.take(str(tmp_path), "a test")
    lease.promise(Duty(TERMINATE, None), Duty(STOP, "pod-1"))
    (path,) = leases.paths(str(tmp_path))
    assert leases.read(path).duties == (Duty(TERMINATE, None), Duty(STOP, "pod-1"))
    assert Lease.adopt(path) is None
    lease.release()
    adopted = Lease.adopt(path)
    assert adopted is not None
    assert adopted.duties == (Duty(TERMINATE, None), Duty(STOP, "pod-1"))


def test_each_promise_replaces_the_last_and_keeps_the_lock(tmp_path):
    lease = Lease.take(str(tmp_path), "a test")
    for number in range(5):
        lease.promise(Duty(STOP, f"pod-{number}"))
        assert Lease.adopt(lease.path) is None
    assert leases.read(lease.path).duties == (Duty(STOP, "pod-4"),)
    assert os.listdir(tmp_path) == [os.path.basename(lease.path)]


def test_what_is_settled_leaves_the_time_of_the_promise(tmp_path):
    lease = Lease.take(str(tmp_path), "a test")
    lease.promise(Duty(STOP, "a"), Duty(STOP, "b"))
    before = lease.terms
    lease.settle(Duty(STOP, "a"))
    assert lease.duties == (Duty(STOP, "b"),)
    assert leases.read(lease.path).promised_at == before.promised_at


def test_a_closed_lease_is_gone(tmp_path):
    lease = Lease.take(str(tmp_path), "a test")
    lease.close()
    assert leases.paths(str(tmp_path)) == []
    assert Lease.adopt(lease.path) is None


def test_a_promise_that_cannot_be_written_is_none(tmp_path):
    lease = Lease.take(str(tmp_path / "leases"), "a test")
    lease.promise(Duty(STOP, "a"))
    os.rename(tmp_path / "leases", tmp_path / "elsewhere")
    with pytest.raises(LeaseError, match="cannot write the lease"):
        lease.promise(Duty(STOP, "b"))
    assert lease.duties == (Duty(STOP, "a"),)


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"version": 2}', '{"version": 1}'])
def test_what_is_no_lease_is_an_error_and_not_swept(tmp_path, content):
    path = tmp_path / "x.json"
    path.write_text(content)
    with pytest.raises(LeaseError, match="cannot understand the lease"):
        leases.read(str(path))
    with pytest.raises(LeaseError):
        Lease.adopt(str(path))


def test_a_moment_that_is_none_is_an_error(tmp_path):
    lease = Lease.take(str(tmp_path), "a test")
    lease.release()
    path = Path(lease.path)
    path.write_text(json.dumps({**json.loads(path.read_text()), "promised_at": "yesterday"}))
    with pytest.raises(LeaseError, match="'yesterday' is no time"):
        leases.read(lease.path)


def test_where_leases_lie():
    assert leases.folder({"XDG_STATE_HOME": "/state"}) == "/state/firstlight/leases"
    assert leases.folder({"HOME": "/a/home", "XDG_STATE_HOME": "not/absolute"}) == "/a/home/.local/state/firstlight/leases"
    assert leases.folder({"HOME": "/a/home"}, "/given") == "/given"
