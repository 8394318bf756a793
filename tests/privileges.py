"""Do without the rights of root, to whom every file is open."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

_NOBODY = 65_534


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
