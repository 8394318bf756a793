"""Opens model files of the registry with onnxruntime."""

import os
from importlib import import_module
from typing import Any

from liveavatar.errors import VoiceError
from liveavatar.weights.fetch import ensure_weight_file

_MAX_THREADS = 4
_ERRORS_ONLY = 3


def open_onnx_model(name: str, extra: str) -> Any:
    """A session of onnxruntime with the file `name`, which is fetched if it is missing; it runs on the CPU.

    Raises:
        VoiceError: onnxruntime, which the extra of that name installs, is not installed.
        WeightsError: the file cannot be fetched.
    """
    try:
        onnxruntime: Any = import_module("onnxruntime")
    except (ImportError, OSError) as error:
        raise VoiceError("onnxruntime is not installed", f"run: pip install 'liveavatar[{extra}]'") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = min(_MAX_THREADS, os.cpu_count() or 1)
    options.add_session_config_entry(
        "session.intra_op.allow_spinning", "0"
    )  # waiting threads burnt a quarter
    options.log_severity_level = _ERRORS_ONLY
    return onnxruntime.InferenceSession(
        str(ensure_weight_file(name)), options, providers=["CPUExecutionProvider"]
    )
