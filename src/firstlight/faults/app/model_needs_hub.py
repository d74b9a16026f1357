"""A model on the disk makes the app ask the hub, which hangs for minutes where there is no network.

You see
    The first prompt takes six minutes and fails with "Please ensure transformers>=4.51.3 is installed"; "thrown while
    requesting HEAD https://huggingface.co/…" in the log.
Why
    VibeVoice's `preprocessor_config.json` names the tokenizer by its repository (`language_model_pretrained_name`), and the
    node prefers that to the folder beside it. Without a network each request is tried again and again.
Cure
    Where the model is complete and that repository is in the hub's cache, firstlight starts the app with
    `HF_HUB_OFFLINE=1`. Else name the folder instead: `sed -i 's#"Qwen/Qwen2.5-1.5B"#"/PATH/models/vibevoice/tokenizer"#'
    FOLDER/preprocessor_config.json`.
"""

from __future__ import annotations

from firstlight.faults.fault import Actor, Evidence, Fault, Layer, Persistence, Verdict
from firstlight.faults.start import Start
from firstlight.probe.facts import Unknown


def evidence(start: Start) -> Verdict:
    """A model names a repository that is not in the hub's cache; or the app has asked for it in vain."""
    told = start.line("hub-unreachable")
    if told:
        return Evidence(f"The app asks the hub, which does not answer: {told}", (("printed", told),), stops=False)
    if isinstance(start.models, Unknown):
        return start.models
    reaching = [model for model in start.models if model.reaches_for and not model.cached]
    if not reaching:
        return None
    model = reaching[0]
    how = "HF_HUB_OFFLINE is set, so its first use fails" if start.offline else "without a network its first use hangs for minutes"
    words = f"{model.named_in} names the hub's {model.reaches_for}, which is not in the hub's cache: {how}."
    return Evidence(words, ((model.named_in, model.reaches_for),), stops=False)


FAULT = Fault(
    id="model-needs-hub",
    symptom="The first prompt hangs for six minutes; thrown while requesting HEAD https://huggingface.co/",
    layer=Layer.APP,
    persistence=Persistence.PERMANENT,
    actor=Actor.CONTAINER,
    advice="Name the local tokenizer in the model's preprocessor_config.json, or let the repository be fetched once.",
    evidence=evidence,
)
