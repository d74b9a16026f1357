"""Proof of work: ComfyUI says a sentence, or paints a picture, and what it made is judged."""
