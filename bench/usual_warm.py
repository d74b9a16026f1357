"""The warm-up of the usual script: does PyTorch see a GPU, and does a product on it run?"""

import sys

import torch

if not torch.cuda.is_available():
    sys.exit("cannot warm up: torch.cuda.is_available() is False")
torch.zeros(1).cuda()
square = torch.ones(1024, 1024, device="cuda")
(square @ square).sum().item()
