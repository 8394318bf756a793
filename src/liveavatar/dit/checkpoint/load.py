"""Put checkpoints into modules: built on the meta device, filled shard by shard, strictly.

A module built under `torch.device("meta")` has names and shapes but no memory. `load()` compares them with what
the files hold before anything large is read, then assigns each shard's tensors to the module, so that the
memory in use is never more than the model and the one tensor being converted. Safetensors and `.pth` files are
mapped into memory rather than read; a `.pth` file may hold tensors only (`weights_only=True`).
"""

import json
import pickle
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from liveavatar.errors import WeightsError

RenameKey = Callable[[str], str | None]
"""A checkpoint's name for a tensor to the module's; None for a tensor the module has no use for."""

Shape = tuple[int, ...]


class KeyMismatchError(WeightsError):
    """The tensors in the files are not those of the module; `missing`, `unexpected` and `misshapen` name them all."""

    def __init__(self, source: str, missing: list[str], unexpected: list[str], misshapen: list[str]) -> None:
        named = {"missing": missing, "unexpected": unexpected, "of another shape": misshapen}
        faults = "; ".join(f"{kind}: {', '.join(names)}" for kind, names in named.items() if names)
        super().__init__(f"{source} does not fit this model ({faults})", "use this model's own checkpoint")
        self.missing = missing
        self.unexpected = unexpected
        self.misshapen = misshapen


@dataclass(frozen=True, slots=True)
class _StoredTensor:
    """A tensor in a file; nothing of it is read before `read()`."""

    shape: Shape
    read: Callable[[], Tensor]


def keep_key(key: str) -> str:
    """The checkpoint's names are the module's."""
    return key


def load_checkpoint(
    module: nn.Module,
    files: Sequence[Path],
    *,
    rename: RenameKey = keep_key,
    dtype: torch.dtype | None = None,
    device: torch.device | str = "cpu",
) -> None:
    """Fill `module` from `files`, converting to `dtype` (None keeps the files'), and set it to inference.

    Raises:
        KeyMismatchError: a tensor is missing, unexpected or of another shape; nothing was loaded.
        WeightsError: a file is missing, damaged, or holds anything but tensors.
    """
    _check_keys(module, files, rename)
    for file in files:
        tensors = {
            name: _convert_tensor(stored.read(), dtype, device)
            for name, stored in _list_renamed_tensors(file, rename)
        }
        module.load_state_dict(tensors, strict=False, assign=True)
    module.requires_grad_(False).eval()


def find_shards(folder: Path, stem: str = "diffusion_pytorch_model") -> list[Path]:
    """The safetensors files of a checkpoint: those named by `{stem}.safetensors.index.json`, or the only one.

    Raises:
        WeightsError: there is none, or one that the index names is missing.
    """
    index = folder / f"{stem}.safetensors.index.json"
    if not index.is_file():
        return [require_file(folder / f"{stem}.safetensors")]
    try:
        names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    except (ValueError, KeyError, AttributeError) as error:
        raise _damaged_file_error(index) from error
    return [require_file(folder / name) for name in names]


def require_file(path: Path) -> Path:
    """`path`, if there is such a file.

    Raises:
        WeightsError: there is not.
    """
    if not path.is_file():
        raise WeightsError(f"{path} is missing", "run: liveavatar weights fetch live-avatar")
    return path


def _damaged_file_error(path: Path) -> WeightsError:
    return WeightsError(f"{path} is damaged", "run: liveavatar weights fetch live-avatar")


def _convert_tensor(tensor: Tensor, dtype: torch.dtype | None, device: torch.device | str) -> Tensor:
    return tensor.to(device=device, dtype=dtype if tensor.is_floating_point() else None)


def _check_keys(module: nn.Module, files: Sequence[Path], rename: RenameKey) -> None:
    """Compare names and shapes, for which the files' headers are enough."""
    wanted = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    found = {name: stored.shape for file in files for name, stored in _list_renamed_tensors(file, rename)}
    missing, unexpected = sorted(wanted.keys() - found), sorted(found.keys() - wanted)
    both = sorted(wanted.keys() & found.keys())
    misshapen = [
        f"{name} {list(found[name])} for {list(wanted[name])}" for name in both if found[name] != wanted[name]
    ]
    if missing or unexpected or misshapen:
        raise KeyMismatchError(" + ".join(file.name for file in files), missing, unexpected, misshapen)


def _list_renamed_tensors(path: Path, rename: RenameKey) -> list[tuple[str, _StoredTensor]]:
    """The tensors of a file under the module's names, less those it has no use for."""
    read = _read_safetensors if require_file(path).suffix == ".safetensors" else _read_pickled
    return [(name, stored) for key, stored in read(path).items() if (name := rename(key)) is not None]


def _read_safetensors(path: Path) -> dict[str, _StoredTensor]:
    try:
        file: Any = safe_open(path, framework="pt")
    except SafetensorError as error:
        raise _damaged_file_error(path) from error
    names: list[str] = file.keys()
    return {
        name: _StoredTensor(tuple(file.get_slice(name).get_shape()), partial(file.get_tensor, name))
        for name in names
    }


def _read_pickled(path: Path) -> dict[str, _StoredTensor]:
    try:
        # mapping needs the zip format, which torch has written since 1.6
        held = torch.load(path, map_location="cpu", mmap=zipfile.is_zipfile(path), weights_only=True)
    except pickle.UnpicklingError as error:
        raise WeightsError(
            f"{path} holds more than tensors, or is damaged", "fetch the official file"
        ) from error
    except (RuntimeError, EOFError) as error:
        raise _damaged_file_error(path) from error
    if not isinstance(held, Mapping) or not all(isinstance(value, Tensor) for value in held.values()):
        raise WeightsError(f"{path} is not a table of tensors", "fetch the official file")
    return {
        str(key): _StoredTensor(tuple(tensor.shape), partial(held.__getitem__, key))
        for key, tensor in held.items()
    }
