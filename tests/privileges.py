"""Do without the rights of root, to whom every file is open."""

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_NOBODY = 65_534
_DROP_FROM_BOUNDING_SET = 24  # PR_CAPBSET_DROP of prctl(2)
_CAPABILITY_VERSION = 0x20080522  # of capset(2), 64 capabilities


@contextmanager
def drop_privileges() -> Iterator[None]:
    """Within the block, root is nobody; other users stay who they are."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(_NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def drop_capabilities() -> None:
    """From now on, permissions count for root too, in this process and those it starts; there is no way back.

    The user stays the same, so that a Python in root's own folder still runs.
    """
    if os.geteuid() != 0:
        return
    system = ctypes.CDLL(None, use_errno=True)
    for number in range(int(Path("/proc/sys/kernel/cap_last_cap").read_text()) + 1):
        system.prctl(_DROP_FROM_BOUNDING_SET, number, 0, 0, 0)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION, 0)
    if system.capset(header, (ctypes.c_uint32 * 6)()) != 0:
        raise OSError(ctypes.get_errno(), "the capabilities cannot be dropped")
