"""One thread: tiny tensors gain nothing from more, and lose much on a shared machine."""

import torch

torch.set_num_threads(1)
