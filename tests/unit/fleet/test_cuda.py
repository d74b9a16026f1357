"""Which CUDA an image needs, by names that are in use."""

from __future__ import annotations

import pytest

from firstlight.fleet import cuda

TOLD = {
    "runpod/pytorch:1.0.2-cu1281-torch280-ubuntu2404": "12.8",
    "runpod/pytorch:0.7.0-cu1263-torch271-ubuntu2204": "12.6",
    "runpod/pytorch:1.0.3-cu1300-torch290-ubuntu2404": "13.0",
    "runpod/pytorch:2.1.0-py3.10-cuda11.8.0-devel-ubuntu22.04": "11.8",
    "runpod/pytorch:2.4.0-py3.11-cuda12.4.1-devel-ubuntu22.04": "12.4",
    "runpod/pytorch:2.8.0-py3.11-cuda12.8.1-cudnn-devel-ubuntu22.04": "12.8",
    "runpod/base:1.0.2-cuda1281-ubuntu2404": "12.8",
    "runpod/comfyui:latest-cuda13": "13.0",
    "runpod/comfyui:1.2.0-cuda12.8": "12.8",
    "pytorch/pytorch:2.5.1-cuda12.4-cudnn9-runtime": "12.4",
    "nvidia/cuda:12.8.1-cudnn-devel-ubuntu22.04": "12.8",
    "nvcr.io/nvidia/cuda:13.0.1-base-ubuntu24.04": "13.0",
    "nvidia/cuda:12.6.3-devel-ubuntu24.04@sha256:" + "cu12" * 16: "12.6",
    "registry.example.org:5000/team/comfy:v3-cu128": "12.8",
    "registry.example.org:5000/team/comfy-cu124": "12.4",
    "yanwk/comfyui-boot:cu126-slim": "12.6",
    "yanwk/comfyui-boot:cu130-megapak": "13.0",
    "lmsysorg/sglang:v0.4.6.post4-cu124": "12.4",
    "team/app:12.8.1-cudnn-devel": "12.8",
    "team/app:cuda-12.6": "12.6",
    "team/app:CUDA_12-8": "12.8",
    "team/app:cu118": "11.8",
    "team/app:cuda12.11.1": "12.11",
}

UNTOLD = [
    "",
    "ubuntu",
    "ubuntu:24.04",
    "python:3.12-slim",
    "vllm/vllm-openai:v0.9.0",
    "nvcr.io/nvidia/pytorch:24.05-py3",
    "team/focus12:latest",
    "team/app:12.8.1",
    "team/app:cu20260101",
    "localhost:5000/ubuntu",
    "team/app:cu999",
    "team/cuda",
    "team/app@sha256:" + "0123456789abcdef" * 4,
]


@pytest.mark.parametrize("image", TOLD)
def test_the_name_of_an_image_tells_its_cuda(image: str) -> None:
    assert cuda.minimum(image) == TOLD[image]


@pytest.mark.parametrize("image", UNTOLD)
def test_nothing_is_made_up_where_it_does_not(image: str) -> None:
    assert cuda.minimum(image) is None


def test_versions_are_compared_by_their_numbers() -> None:
    assert cuda.older("12.2", "12.11")
    assert cuda.older("12.8", "13.0")
    assert not cuda.older("12.8", "12.8")
    assert not cuda.older("12.10", "12.9")
