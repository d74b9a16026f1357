"""CUDA fails, and none of the known causes is there.

You see
    A CUDA error, a GPU that computes wrongly, fewer GPUs than were given, or a process that died while it used CUDA.
Why
    Not known. Of what firstlight knows nothing fits: every node, library, variable and limit that it checks is right. A
    preloaded library, a sandbox (gVisor), seccomp rules, a damaged GPU or a fault of the driver can do this.
Cure
    Start once more; then try another host. With LD_PRELOAD or CUDA_INJECTION64_PATH set, try without. Send the output
    of `firstlight facts --format json` along when you ask for help.
"""

from __future__ import annotations

from firstlight.faults import granted, reading
from firstlight.faults.fault import Actor, Evidence, Fault, Layer, Persistence, Remedy, Verdict
from firstlight.probe.facts import Cause, Cuda, Facts, Unknown

# cuda.h's CUresult, those that bringing CUDA up can give.
_CODES = {
    1: "invalid value",
    2: "out of memory",
    3: "initialization error",
    34: "CUDA driver is a stub library",
    36: "API call is not supported in the installed CUDA driver",
    46: "device busy or unavailable",
    100: "no CUDA-capable device is detected",
    101: "invalid device ordinal",
    102: "no valid Grid license",
    200: "device kernel image is invalid",
    201: "invalid device context",
    209: "no kernel image is available for execution on the device",
    214: "uncorrectable ECC error encountered",
    218: "a PTX JIT compilation failed",
    221: "PTX JIT compiler library not found",
    222: "the provided PTX was compiled with an unsupported toolchain",
    226: "invalid access over NVLink, or a hardware error",
    304: "OS call failed or operation not supported on this OS",
    700: "an illegal memory access was encountered",
    702: "the launch timed out",
    715: "an illegal instruction was encountered",
    719: "unspecified launch failure",
    800: "operation not permitted",
    802: "system not yet initialized",
    803: "unsupported display driver / cuda driver combination",
    804: "forward compatibility was attempted on non supported HW",
    805: "MPS client failed to connect to the MPS control daemon or the MPS server",
    807: "MPS server is not ready to accept new MPS client requests",
    808: "MPS: too many clients",
    809: "MPS: too many connections",
    810: "MPS client terminated by the server",
    999: "unknown error",
}
_REFUSED_CALLS = (304, 800)
_FILTER = 2
_SHIMS = ("LD_PRELOAD", "CUDA_INJECTION64_PATH")


def evidence(facts: Facts) -> Verdict:
    """Anything short of a whole proof."""
    cuda = facts.cuda
    if isinstance(cuda, Unknown):
        if cuda.cause is Cause.NOT_ASKED:
            return cuda
        return Evidence(f"CUDA gave no answer: {cuda.reason}.", (("CUDA", cuda.reason), *_shims(facts)))
    if granted.proof_is_whole(facts):
        return None
    sentence = _what_failed(facts, cuda)
    return sentence if sentence is None or isinstance(sentence, Unknown) else Evidence(sentence, _shims(facts))


def _what_failed(facts: Facts, cuda: Cuda) -> str | Unknown | None:
    if isinstance(cuda.library, Unknown) and isinstance(cuda.init, Unknown):
        return f"libcuda cannot be loaded: {cuda.library.reason}."
    errors = reading.cuda_errors(facts)
    if errors:
        # Where some GPUs work, one of the others is the cause of what CUDA says of all.
        blamed = next((error for error in errors if error.gpu is not None), errors[0]) if granted.usable(facts) else errors[0]
        return f"{_capital(str(blamed))}: {_CODES.get(blamed.code, 'an error that CUDA does not name')}."
    if isinstance(cuda.init, Unknown):
        return cuda.init if cuda.init.cause is Cause.NOT_ASKED else f"cuInit gave no answer: {cuda.init.reason}."
    wrong = [gpu.ordinal for gpu in cuda.gpus if reading.known(gpu.proven) is False]
    if wrong:
        return f"GPU {reading.numbers(wrong)} computed wrong results without any error."
    untold = next((gpu for gpu in cuda.gpus if isinstance(gpu.proven, Unknown)), None)
    if untold is not None and isinstance(untold.proven, Unknown):
        not_asked = untold.proven.cause is Cause.NOT_ASKED
        return untold.proven if not_asked else f"GPU {untold.ordinal} was not proven: {untold.proven.reason}."
    wanted = granted.expected(facts)
    proven = granted.usable(facts)
    return (
        f"CUDA shows {proven} of the {wanted} GPUs that this container should have."
        if not isinstance(wanted, Unknown)
        else "CUDA shows no GPU."
    )


def _shims(facts: Facts) -> tuple[tuple[str, str], ...]:
    """What else sits between the app and the driver: worth a look where nothing else explains the failure."""
    variables = facts.environment.variables
    preloads = reading.known(facts.environment.ld_so_preload) or ()
    found = tuple((name, variables[name]) for name in _SHIMS if variables.get(name))
    # Nearly every container filters system calls; it is worth a word only where the code says that one was refused.
    filtered = reading.known(facts.confinement.seccomp) == _FILTER and reading.first_error(facts, *_REFUSED_CALLS) is not None
    seccomp = (("seccomp", "filter"),) if filtered else ()
    return found + ((("/etc/ld.so.preload", " ".join(preloads)),) if preloads else ()) + seccomp


def _capital(sentence: str) -> str:
    return sentence if sentence.startswith("cu") else sentence[:1].upper() + sentence[1:]


FAULT = Fault(
    id="cuda-error-unexplained",
    symptom="a CUDA error that no known cause explains",
    layer=Layer.CUDA,
    persistence=Persistence.BOUNDED,
    actor=Actor.PROVIDER,
    remedies=(Remedy.DROP_PRELOAD, Remedy.REPLACE_INSTANCE),
    host_fault=True,
    advice="Try another host; if it fails there too, send the output of `firstlight facts --format json` with your question.",
    evidence=evidence,
)
