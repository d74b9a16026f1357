"""VibeVoice's node packs do not work with these versions of their packages.

You see
    "'<class …VibeVoiceAcousticTokenizerConfig'>' is already used by a Transformers model", at import with one pack and with
    the other only at the first generation; or "cannot import name 'resolve_revision' from 'huggingface_hub'".
Why
    transformers 5 carries a VibeVoice of its own, under the same names as that of the packs; older ones than 4.51.3 lack
    what it needs. ComfyUI asks for no upper bound, so an unpinned install gets it.
Cure
    `PYTHON -m pip install transformers==4.51.3 diffusers==0.35.2 huggingface_hub==0.36.2`, then `firstlight ctl restart`.
"""

from __future__ import annotations

from firstlight.faults import reading
from firstlight.faults.fault import Actor, Evidence, Fault, Layer, Persistence, Verdict
from firstlight.faults.start import Start
from firstlight.probe.facts import Unknown


def evidence(start: Start) -> Verdict:
    """Versions that are known not to work, where a pack or a model of VibeVoice is there; or the app has said so."""
    told = start.line("vibevoice-versions")
    if told:
        return Evidence(f"VibeVoice does not work with the packages that are installed: {told}", (("printed", told),), stops=False)
    if not start.speaks:
        return None
    if isinstance(start.packages, Unknown):
        return start.packages
    versions = {name: start.packages.get(name) or "" for name in ("transformers", "diffusers", "huggingface_hub")}
    keys = {name: reading.version_key(version) for name, version in versions.items()}
    found = ", ".join(f"{name} {version or 'missing'}" for name, version in versions.items())
    if keys["transformers"] and not _OLDEST <= keys["transformers"] < _TOO_NEW:
        words = f"VibeVoice needs transformers from 4.51.3 on and below 5, and {start.interpreter} has {versions['transformers']}."
    elif keys["diffusers"] >= _NEEDS_NEW_HUB and keys["huggingface_hub"] and keys["huggingface_hub"] < _NEW_HUB:
        words = f"diffusers {versions['diffusers']} needs a newer huggingface_hub than {versions['huggingface_hub']}."
    else:
        return None
    return Evidence(words, (("installed", found),), stops=False)


_OLDEST = (4, 51, 3)
_TOO_NEW = (5,)
_NEEDS_NEW_HUB = (0, 42)
_NEW_HUB = (1,)


FAULT = Fault(
    id="vibevoice-versions",
    symptom="VibeVoiceAcousticTokenizerConfig is already used by a Transformers model",
    layer=Layer.APP,
    persistence=Persistence.PERMANENT,
    actor=Actor.IMAGE,
    advice="Install transformers==4.51.3, diffusers==0.35.2 and huggingface_hub==0.36.2 with the app's interpreter.",
    evidence=evidence,
)
