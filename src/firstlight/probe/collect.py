"""All facts together: first what files and one proving child tell, then what only more children can."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from firstlight.probe import answers, children, confinement, cuda, devices, driver, environment, libraries, limits, nvml, torch
from firstlight.probe.facts import NOT_ASKED, Cause, Cuda, CudaGpu, Facts, NodeKind, Torch, Unknown
from firstlight.system import clock

if TYPE_CHECKING:
    from firstlight.system.loop import Loop
    from firstlight.system.process import Process

# How often a slow answer is spoken of, in seconds.
_SLOW = 5.0
Tell = Callable[[str], None]


def _from_files(variables: Mapping[str, str]) -> Facts:
    """What can be read without a child. `variables` is the environment that the app would get."""
    return Facts(
        devices=devices.collect(opened={}),
        driver=driver.collect(),
        libraries=libraries.collect(variables),
        environment=environment.collect(variables),
        confinement=confinement.collect(),
        limits=limits.collect(),
        taken_at=clock.wall(),
    )


def with_prover(loop: Loop, variables: Mapping[str, str], prover: Process, timeout: float, tell: Tell) -> Facts:
    """File facts, and the answer of a prover that was started before. Each of its steps may take `timeout` seconds."""
    facts = _from_files(variables)
    waited = _wait_for_steps(loop, prover, timeout, tell)
    return replace(facts, cuda=cuda.read(prover, waited))


def complete(loop: Loop, variables: Mapping[str, str], facts: Facts, timeout: float, tell: Tell, *, interpreter: str) -> Facts:
    """Add to what the prover told all that only more children can; PyTorch is asked where an `interpreter` for it is named."""
    facts = _deepen(loop, variables, facts, timeout)
    facts = _prove_each(loop, variables, facts, timeout, tell)
    return _ask_torch(loop, variables, facts, interpreter, timeout) if interpreter else facts


def _deepen(loop: Loop, variables: Mapping[str, str], facts: Facts, timeout: float) -> Facts:
    """Add what NVML says and what a real open of each node gives, each asked in a killable child."""
    nodes = () if isinstance(facts.devices.nodes, Unknown) else facts.devices.nodes
    paths = [node.path for node in nodes if node.kind in (NodeKind.CHAR, NodeKind.BLOCK)]
    asking_nvml = children.nvml(loop, variables)
    # One child for each GPU: opening a sick one can block for ever, and must not keep the others from being tried.
    groups = [[path] for path in paths if devices.is_gpu_node(path)]
    others = [path for path in paths if not devices.is_gpu_node(path)]
    openers = [children.opener(loop, variables, group) for group in (*groups, others) if group]
    started = clock.now()
    loop.wait_for(lambda: asking_nvml.ended and all(opener.ended for opener in openers), started + timeout)
    waited = clock.now() - started
    opened: dict[str, int | Unknown] = {}
    for opener in openers:
        opened.update(answers.opened(opener, waited))
    said = nvml.read(asking_nvml, waited)
    for process in (asking_nvml, *openers):
        loop.end(process)
    return replace(facts, devices=devices.collect(opened), nvml=said)


def _prove_each(loop: Loop, variables: Mapping[str, str], facts: Facts, timeout: float, tell: Tell) -> Facts:
    """Prove each of several GPUs in a process that sees it alone, where cuInit failed: one bad GPU can fail it for all.

    The CUDA facts keep the codes of the joint attempt; their GPUs become those of the single ones.
    """
    uuids = _worth_proving_alone(facts, variables)
    if not uuids or isinstance(facts.cuda, Unknown):
        return facts
    tell(f"one bad GPU can fail CUDA for all: proving {len(uuids)} GPUs one by one")
    provers = [children.prover(loop, {**variables, "CUDA_VISIBLE_DEVICES": uuid}, hold=0) for uuid in uuids]
    gpus = []
    for ordinal, (uuid, prover) in enumerate(zip(uuids, provers, strict=True)):
        waited = _wait_for_steps(loop, prover, timeout, tell)
        gpus.append(_alone(ordinal, uuid, cuda.read(prover, waited)))
        loop.end(prover)
    return replace(facts, cuda=replace(facts.cuda, gpus=tuple(gpus)))


def _ask_torch(loop: Loop, variables: Mapping[str, str], facts: Facts, interpreter: str, timeout: float) -> Facts:
    """Add what the PyTorch of `interpreter` says."""
    try:
        asking = children.torch(loop, variables, interpreter)
    except OSError as error:
        cannot = Unknown(f"cannot run {interpreter}: {error.strerror}", Cause.ABSENT)
        return replace(facts, torch=Torch(interpreter=interpreter, version=cannot))
    loop.wait_for(lambda: asking.ended, clock.now() + timeout)
    said = torch.read(asking, interpreter, timeout)
    loop.end(asking)
    return replace(facts, torch=said)


def _worth_proving_alone(facts: Facts, variables: Mapping[str, str]) -> list[str]:
    """UUIDs of several GPUs whose joint attempt failed before any of them could be proven."""
    if isinstance(facts.cuda, Unknown) or facts.cuda.gpus or facts.cuda.init == 0 or isinstance(facts.nvml, Unknown):
        return []
    gpus = () if isinstance(facts.nvml.gpus, Unknown) else facts.nvml.gpus
    # A mask of the user's own is a fault to be cured first.
    if len(gpus) < 2 or "CUDA_VISIBLE_DEVICES" in variables:
        return []
    return [gpu.uuid for gpu in gpus if isinstance(gpu.uuid, str) and gpu.error == 0]


def _alone(ordinal: int, uuid: str, said: Cuda) -> CudaGpu:
    """The one GPU of a process that saw no other; where it got no further than cuInit, that code stands for the context."""
    if said.gpus:
        return replace(said.gpus[0], ordinal=ordinal)
    return CudaGpu(ordinal=ordinal, uuid=uuid, context=said.init, kernel=NOT_ASKED, proven=False)


def _wait_for_steps(loop: Loop, prover: Process, timeout: float, tell: Tell) -> float:
    """Wait until the prover is finished, or silent for `timeout` seconds. Give the length of its last silence."""
    started, known, spoken = clock.now(), -1, _SLOW
    while not cuda.finished(prover):
        steps = len(answers.steps(prover))
        if steps > known:
            started, known, spoken = clock.now(), steps, _SLOW
        silent = clock.now() - started
        if silent >= timeout:
            break
        if silent >= spoken:
            tell(f"{_doing(prover)} takes long: {silent:.0f} s of at most {timeout:.0f} s")
            spoken += _SLOW
        until = started + min(spoken, timeout)
        loop.wait_for(lambda before=known: cuda.finished(prover) or len(answers.steps(prover)) > before, until)  # type: ignore[misc]
    return clock.now() - started


def _doing(prover: Process) -> str:
    last = (answers.steps(prover) or [{"step": ""}])[-1]
    return {"initializing": "cuInit", "proving": f"the proof of GPU {last.get('ordinal')}", "": "starting the prover"}.get(
        last["step"], "CUDA"
    )
