"""One thread, since tiny tensors gain nothing from more; and sums of bfloat16 products as everywhere.

CPUs with AMX add bfloat16 products up in another order than those the golden tensors were made on, and round more
coarsely. Below VNNI, int8 products saturate at 16 bits. oneDNN reads the limit when it computes for the first time.
"""

import os

os.environ.setdefault("ONEDNN_MAX_CPU_ISA", "AVX512_CORE_VNNI")

import torch

torch.set_num_threads(1)
