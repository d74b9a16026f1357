"""Lets a torch without CUDA fail once as one with CUDA does where there is no driver, at the same place and in the same words.

The file `driver-was-missing` in the working directory says that it has.
"""

import os

import torch


def _cuda_init():
    raise RuntimeError(
        "Found no NVIDIA driver on your system. Please check that you have an NVIDIA GPU and installed a driver from "
        "http://www.nvidia.com/Download/index.aspx"
    )


if not os.path.exists("driver-was-missing"):
    with open("driver-was-missing", "w"):
        pass
    torch.cuda._cudart = object()
    torch._C._cuda_getDeviceCount = lambda: 0
    torch._C._cuda_init = _cuda_init
