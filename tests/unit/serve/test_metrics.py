"""The metrics, as the tools of Prometheus see them."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from firstlight.journal.event import Event, Stage
from firstlight.serve import metrics
from firstlight.serve.live import Live
from firstlight.serve.redact import Redactor
from firstlight.serve.view import look
from firstlight.supervise.restart import Cause


def view() -> Any:
    told: list[tuple[str, str, dict[str, Any]]] = [
        ("boot", "start", {}),
        ("stage", "probe", {}),
        ("finding", "diagnose", {"fault": "gpu-lost", "sentence": 'a "quoted"\nline'}),
        ("diagnosis", "diagnose", {"usable": 1, "expected": 2}),
        ("proof", "prove", {"gpu": {"uuid": "GPU-a", "name": 'H100 "x"\\', "memory_total": 8, "proven": True}, "seconds": {"kernel": 0.1}}),
        ("app-started", "app", {"pid": 7}),
        ("check", "app", {"check": "http", "level": "ready", "ok": True}),
        ("ready", "ready", {}),
        ("companion-started", "ready", {"name": "/start.sh", "pid": 9}),
        ("app-exited", "stop", {"code": 1, "orphans_reaped": 5}),
        ("restart", "backoff", {"cause": "cuda", "reason": "x", "delay": 1.0, "causes": {"cuda": 1}}),
        ("leg", "backoff", {"name": "prompt"}),
        ("accepted", "backoff", {"ok": True, "cold": True, "seconds": 1.0, "gates": [], "words": ""}),
        ("over-budget", "backoff", {"budget": 5.0, "leg": "process", "seconds": 2.0, "words": "late"}),
    ]
    return look(
        [
            Event(
                boot="b", number=number, kind=kind, stage=Stage(stage), at="2026-11-24T05:00:00.000Z", since_start=float(number), data=data
            )
            for number, (kind, stage, data) in enumerate(told)
        ]
    )


def values() -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
    found: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
    for family in text_string_to_metric_families(metrics.render(view(), "1.2.3").decode()):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sorted(sample.labels.items()))] = sample.value
    return found


def test_the_metrics_say_what_the_view_says() -> None:
    found = values()

    assert found["firstlight_ready"] == {(): 0}
    assert found["firstlight_boot_duration_seconds"] == {(): 7}
    assert found["firstlight_app_restarts_total"][("cause", "cuda"),] == 1
    assert found["firstlight_app_restarts_total"][("cause", "app"),] == 0
    assert found["firstlight_fault_active"][("fault", "gpu-lost"),] == 1
    assert found["firstlight_fault_active"][("fault", "uvm-node-missing"),] == 0
    assert found["firstlight_condition"][("condition", "degraded"),] == 1
    assert found["firstlight_zombies_reaped_total"] == {(): 5}
    assert found["firstlight_gpu_info"] == {(("gpu", "0"), ("model", 'H100 "x"\\'), ("uuid", "GPU-a")): 1}
    assert found["firstlight_check_ok"] == {(("check", "http"), ("level", "ready")): 1}
    legs = {leg: seconds for ((_, leg),), seconds in found["firstlight_leg_duration_seconds"].items()}
    assert legs == {"cuda": 3, "process": 2, "ready": 2, "prompt": 4, "verified": 1}
    assert found["firstlight_first_generation_seconds"] == {(("models", "cold"),): 12}
    assert found["firstlight_accepted"] == {(): 1}
    assert found["firstlight_over_budget"] == {(): 1}
    assert found["firstlight_stage_duration_seconds"][("stage", "probe"),] == 1


def test_each_cause_of_a_restart_has_its_counter_from_the_start() -> None:
    assert {cause for ((_, cause),) in values()["firstlight_app_restarts_total"]} == {cause.value for cause in Cause}


@pytest.mark.parametrize("known", [True, False])
def test_promtool_has_nothing_to_say_about_them(known: bool) -> None:
    if not shutil.which("promtool"):
        pytest.skip("promtool is needed (Debian package prometheus)")
    text = metrics.render(view() if known else None, "1.2.3")

    outcome = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, check=False)

    assert (outcome.returncode, outcome.stdout, outcome.stderr) == (0, b"", b"")


def test_restarts_are_counted_though_their_events_are_kept_no_more() -> None:
    live = Live(Redactor({}))
    lives = 4000  # more than are kept
    lines = (
        {"kind": kind, "stage": stage, **data}
        for life in range(1, lives + 1)
        for kind, stage, data in (("app-started", "app", {"life": life}), ("restart", "backoff", {"cause": "app", "causes": {"app": life}}))
    )
    for number, line in enumerate(lines):
        live.feed(json.dumps({"v": 1, "boot": "b", "n": number, "t": "x", "s": 1.0, **line}).encode())

    seen = look(live.events)
    assert seen.restarts == {"app": lives}
    assert seen.status.lives == lives
