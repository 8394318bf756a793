"""Load checkpoints into modules: built on the meta device, filled shard by shard, strictly.

A module built under `torch.device("meta")` has names and shapes but no storage. `load_checkpoint` compares them with
the headers of the files before anything large is read, then assigns each shard's tensors to the module: memory never
exceeds the model and the one tensor being converted. Safetensors and `.pth` files are memory-mapped. A `.pth` file may
hold tensors only (`weights_only=True`).
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
"""A tensor's name in the checkpoint to its name in the module; None for a tensor that the module does not need."""

Shape = tuple[int, ...]

_REMEDY = "run: liveavatar weights fetch live-avatar"


@dataclass(frozen=True, kw_only=True, slots=True)
class Placement:
    """Device and type of a network's weights."""

    device: torch.device | str = "cpu"
    dtype: torch.dtype = torch.float32


class KeyMismatchError(WeightsError):
    """The tensors in the files are not those of the module; `missing`, `unexpected` and `misshapen` list them all."""

    def __init__(self, source: str, missing: list[str], unexpected: list[str], misshapen: list[str]) -> None:
        kinds = {"missing": missing, "unexpected": unexpected, "of another shape": misshapen}
        faults = "; ".join(f"{kind}: {', '.join(names)}" for kind, names in kinds.items() if names)
        super().__init__(f"{source} does not fit this model ({faults})", "use this model's own checkpoint")
        self.missing = missing
        self.unexpected = unexpected
        self.misshapen = misshapen


@dataclass(frozen=True, slots=True)
class _StoredTensor:
    """A tensor in a file; its data is not read before `read()`."""

    shape: Shape
    read: Callable[[], Tensor]


def keep_key(key: str) -> str:
    """A `RenameKey` that changes nothing."""
    return key


def load_checkpoint(
    module: nn.Module,
    files: Sequence[Path],
    *,
    rename: RenameKey = keep_key,
    dtype: torch.dtype | None = None,
    device: torch.device | str = "cpu",
) -> None:
    """Fill `module` from `files`, converted to `dtype` (None keeps the files'), and set it to inference.

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
    """The safetensors files of a checkpoint: those listed in `{stem}.safetensors.index.json`, or the only one.

    Raises:
        WeightsError: there is none, or a listed one is missing.
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
    """`path`, if it is a file.

    Raises:
        WeightsError: it is not.
    """
    if not path.is_file():
        raise WeightsError(f"{path} is missing", _REMEDY)
    return path


def _damaged_file_error(path: Path) -> WeightsError:
    return WeightsError(f"{path} is damaged", _REMEDY)


def _convert_tensor(tensor: Tensor, dtype: torch.dtype | None, device: torch.device | str) -> Tensor:
    return tensor.to(device=device, dtype=dtype if tensor.is_floating_point() else None)


def _check_keys(module: nn.Module, files: Sequence[Path], rename: RenameKey) -> None:
    """Compare names and shapes; reads the headers of the files only."""
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
    """The tensors of a file that the module needs, by the module's names."""
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
        # memory-mapping needs the zip format, which torch writes since 1.6
        content = torch.load(path, map_location="cpu", mmap=zipfile.is_zipfile(path), weights_only=True)
    except pickle.UnpicklingError as error:
        raise WeightsError(
            f"{path} holds more than tensors, or is damaged", "fetch the official file"
        ) from error
    except (RuntimeError, EOFError) as error:
        raise _damaged_file_error(path) from error
    if not isinstance(content, Mapping) or not all(isinstance(value, Tensor) for value in content.values()):
        raise WeightsError(f"{path} is not a table of tensors", "fetch the official file")
    return {
        str(key): _StoredTensor(tuple(tensor.shape), partial(content.__getitem__, key))
        for key, tensor in content.items()
    }
