"""What people and programs get to read: the diagnosis, the report of a boot that gave up, the facts, the pages."""

from __future__ import annotations

import dataclasses
import errno
import json

import pytest
from machines import (
    DENIED,
    bare,
    change,
    context_fails,
    cuda_gpu_changed,
    healthy,
    init_fails,
    variables,
    with_node,
    without_node,
)

from firstlight.errors import ExitCode
from firstlight.faults.catalogue import CATALOGUE
from firstlight.faults.diagnose import diagnose
from firstlight.faults.fault import Evidence, Finding
from firstlight.probe.facts import Facts
from firstlight.report import diagnosis, give_up, pages, summary, words
from firstlight.report.style import WIDTH, Style

STALE = with_node(init_fails(healthy(), 999), "/dev/nvidia-uvm", major=510, opened=errno.ENXIO)
COLOURED = Style(colour=True)


@dataclasses.dataclass(frozen=True)
class Ending:
    code: ExitCode = ExitCode.OTHER_HOST
    reason: str = "waiting cannot cure uvm-major-stale"


def report(facts: Facts, treatments: tuple[str, ...] = (), ending: Ending | None = None) -> str:
    return give_up.render(diagnose(facts), ending or Ending(), treatments=treatments, attempts=1, elapsed=0.31)


@pytest.mark.parametrize(
    ("verdict", "facts"),
    [
        ("well", healthy()),
        ("ill", STALE),
        ("ill", bare()),
        ("usable-but-ill", variables(healthy(), CUDA_VISIBLE_DEVICES="0,8")),
        ("usable-but-ill", context_fails(healthy(2), 46, 1)),
    ],
)
def test_the_verdict_is_doctor_s_exit_code_in_a_word(verdict: str, facts: Facts) -> None:
    assert diagnosis.verdict(diagnose(facts)) == verdict
    assert diagnosis.encode(diagnose(facts), facts)["verdict"] == verdict


@pytest.mark.parametrize(
    ("line", "facts"),
    [
        ("CUDA works: proven on 1 of 1 GPU.", healthy()),
        ("✓ GPU 0 NVIDIA H100 80GB HBM3 GPU-00000000-1111-2222-3333-444444444444: its kernel computed rightly", healthy()),
        ("CUDA does not work: the cause is uvm-major-stale.", STALE),
        ("✗ uvm-major-stale", STALE),
        ("    /dev/nvidia-uvm: char 510:0", STALE),
        ("  Who must act: whoever runs this host; waiting never cures it.", STALE),
        ("! visible-devices-invalid", variables(healthy(), CUDA_VISIBLE_DEVICES="0,8")),
        ("CUDA can be used, proven on 1 of 2 GPUs, but not all is well: gpu-busy.", context_fails(healthy(2), 46, 1)),
        ("✗ GPU 1 NVIDIA H100 80GB HBM3 GPU-00000001-1111-2222-3333-444444444444: the context gives 46", context_fails(healthy(2), 46, 1)),
        ("? cannot tell whether it is address-space-limit: Permission denied", change(STALE, "limits", address_space=DENIED)),
    ],
)
def test_the_diagnosis_says_what_is_wrong_and_what_works(line: str, facts: Facts) -> None:
    assert line in diagnosis.render(diagnose(facts), facts).split("\n")


def test_the_diagnosis_as_json_carries_the_evidence() -> None:
    data = json.loads(json.dumps(diagnosis.encode(diagnose(STALE), STALE)))
    assert (data["root_cause"], data["usable"], data["expected"], data["promised"]) == ("uvm-major-stale", 0, 1, True)
    finding = data["findings"][0]
    assert finding["quotes"][0] == {"name": "/dev/nvidia-uvm", "value": "char 510:0"}
    assert (finding["persistence"], finding["actor"], finding["stops_cuda"]) == ("permanent", "provider", True)


def test_the_report_holds_cause_evidence_who_acts_what_was_tried_and_what_to_do() -> None:
    text = report(STALE, ("create-device-nodes: cannot create /dev/nvidia-uvm: Operation not permitted",))
    labels = [line[:12].strip() for line in text.splitlines()[1:-1] if not line.startswith(" ")]
    assert labels == ["Cause", "Evidence", "Who acts", "Tried", "Do next", "Read on", "Exit code"]
    assert "1 attempt in 0.31 s; given up: waiting cannot cure uvm-major-stale" in text
    assert "75: the host is at fault: try another one" in text
    assert text.endswith("\n")


@pytest.mark.parametrize("fault", CATALOGUE, ids=lambda fault: fault.id)
def test_the_report_fits_a_screen_whatever_the_fault(fault: object) -> None:
    evidence = Evidence("A sentence of the usual length, which says what is wrong and quotes a fact or two.", (("a fact", "a value"),) * 9)
    finding = next(Finding(item, evidence) for item in CATALOGUE if item is fault)
    found = dataclasses.replace(diagnose(STALE), findings=(finding, *diagnose(STALE).findings * 6))
    text = give_up.render(found, Ending(), treatments=("create-device-nodes: cannot do it",) * 9, attempts=10, elapsed=300.0)
    lines = text.splitlines()
    assert len(lines) <= 29
    assert all(len(line) <= WIDTH for line in lines if "`" not in line)


def test_the_usual_report_has_no_more_than_24_lines() -> None:
    both = variables(STALE, CUDA_VISIBLE_DEVICES="8")
    assert len(report(both, ("create-device-nodes: cannot create /dev/nvidia-uvm: Operation not permitted",)).splitlines()) <= 24


def test_the_report_says_how_many_gpus_work_where_some_do() -> None:
    assert "CUDA is proven on 3 of 4 GPUs only" in report(context_fails(healthy(4), 46, 2))


def test_the_report_without_a_finding_still_says_what_to_do() -> None:
    text = report(healthy(), ending=Ending(ExitCode.NO_GPU, "all GPUs granted work, and --gpus 8 asks for more"))
    assert "no fault was found" in text
    assert "69: no usable GPU in this container" in text


@pytest.mark.parametrize("render", ["diagnosis", "report", "summary"])
def test_a_driver_s_name_cannot_command_the_terminal(render: str) -> None:
    facts = variables(cuda_gpu_changed(healthy(), 0, name="H100\x1b[2J\r\nroot:"), CUDA_VISIBLE_DEVICES="0\x1b]0;x\x07")
    facts = init_fails(facts, 100) if render == "report" else facts
    text = {
        "diagnosis": diagnosis.render(diagnose(facts), facts),
        "report": report(facts),
        "summary": summary.render(facts),
    }[render]
    assert "\\x1b" in text
    assert all(line.isprintable() for line in text.split("\n"))


@pytest.mark.parametrize("facts", [healthy(), STALE, bare()], ids=["healthy", "stale", "bare"])
def test_an_ascii_stream_can_carry_every_text(facts: Facts) -> None:
    plain = Style(unicode=False)
    found = diagnose(facts)
    texts = (
        diagnosis.render(found, facts, plain),
        summary.render(facts, plain),
        pages.render(CATALOGUE[0], plain),
        pages.overview(CATALOGUE, plain),
    )
    report_text = give_up.render(found, Ending(), treatments=("made café",), attempts=1, elapsed=1, style=plain)
    assert all(text.isascii() for text in (*texts, report_text))


def test_colours_change_no_word() -> None:
    found = diagnose(STALE)
    coloured = diagnosis.render(found, STALE, COLOURED)
    assert "\x1b[31" in coloured
    for code in ("31;1", "32;1", "33;1", "31", "32", "33", "1", "2", "0"):
        coloured = coloured.replace(f"\x1b[{code}m", "")
    assert coloured == diagnosis.render(found, STALE)


@pytest.mark.parametrize(
    "part",
    [
        "/dev/nvidia0  char 195:0, mode 666, owner 0:0, opens",
        "majors: nvidia 195, nvidia-caps 237, nvidia-uvm 234",
        "version 580.159.04",
        "libcuda: /usr/lib/x86_64-linux-gnu/libcuda.so.580.159.04",
        "NVIDIA_DRIVER_CAPABILITIES=compute,utility",
        "address space unlimited; open files 1024 (hard 1048576)",
        "speaks CUDA 13.0",
        "cuInit 0, GPUs 1",
        "PyTorch         not asked",
    ],
)
def test_the_summary_holds_the_facts_that_matter(part: str) -> None:
    assert part in summary.render(healthy())


def test_the_summary_says_why_a_fact_is_unknown() -> None:
    facts = change(without_node(healthy(), "/dev/nvidia0"), "devices", majors=DENIED)
    assert "majors: unknown (Permission denied)" in summary.render(facts)
    assert "open: ENXIO" in summary.render(STALE)


@pytest.mark.parametrize(("seconds", "said"), [(0.312, "0.31 s"), (31.2, "31 s"), (119, "119 s"), (125, "2 min 5 s")])
def test_durations_read_well(seconds: float, said: str) -> None:
    assert words.duration(seconds) == said
