"""A custom node after whose prompt the thread that runs prompts dies, where ComfyUI issue 16312 has it die: freeing CUDA's memory.

Python reports the thread's death on standard error, but with SystemExit a thread ends without a word. "real" needs a GPU: a kernel of
PyTorch's fails for good, and whatever asks CUDA after it.
"""

import comfy.model_management
import torch

DEATHS = {
    "loud": RuntimeError("the memory cannot be freed"),
    "cuda": RuntimeError("CUDA error: unspecified launch failure"),
    "silent": SystemExit(1),
}


class EndWorker:
    """Lets the next freeing of memory fail."""

    RETURN_TYPES = ()
    FUNCTION = "run"
    OUTPUT_NODE = True
    CATEGORY = "testing"

    @classmethod
    def INPUT_TYPES(cls):  # noqa: N802 - ComfyUI calls it so
        """As ComfyUI asks."""
        return {"required": {"how": ([*DEATHS, "real"],)}}

    def run(self, how):
        """Called by the thread."""
        if how == "real":
            torch.zeros(1, device="cuda")[torch.tensor([1], device="cuda")].cpu()

        def fail(*arguments, **named):
            raise DEATHS[how]

        comfy.model_management.soft_empty_cache = fail
        return ()


NODE_CLASS_MAPPINGS = {"EndWorker": EndWorker}
