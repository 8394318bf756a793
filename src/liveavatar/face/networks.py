"""The networks for faces, run by OpenCV: loaded once a process, safe to share between threads."""

import threading
import zipfile
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from liveavatar.files import scratch_folder
from liveavatar.frames import Picture
from liveavatar.weights import ensure_weight_file

FloatArray = NDArray[np.float32]


class TFLiteNetwork:
    """A TFLite graph run by OpenCV, from a square RGB picture to the named outputs.

    `black_value` and `white_value` are the graph's inputs for 0 and 255.
    """

    def __init__(
        self, graph: bytes, outputs: tuple[str, ...], black_value: float, white_value: float
    ) -> None:
        self._net = _read_graph(graph)
        self._outputs = outputs
        self._black_value = black_value
        self._scale = (white_value - black_value) / 255
        self._lock = threading.Lock()

    def __call__(self, picture: Picture) -> list[FloatArray]:
        """One array for each output; `picture` is [side, side, 3]."""
        blob = picture.transpose(2, 0, 1)[None].astype(np.float32) * self._scale + self._black_value
        with self._lock:
            self._net.setInput(np.ascontiguousarray(blob, np.float32))
            return [np.asarray(output, np.float32) for output in self._net.forward(self._outputs)]


@cache
def load_face_detector() -> TFLiteNetwork:
    """BlazeFace, short range: 128 px; `regressors` [1, 896, 16] and logits `classificators` [1, 896, 1]."""
    return TFLiteNetwork(
        read_landmarker_file("face_detector.tflite"), ("regressors", "classificators"), -1, 1
    )


@cache
def load_face_landmarker() -> TFLiteNetwork:
    """Face mesh with attention: 256 px; `Identity` holds 478·3 numbers in pixels, `Identity_1` a logit."""
    return TFLiteNetwork(
        read_landmarker_file("face_landmarks_detector.tflite"), ("Identity", "Identity_1"), 0, 1
    )


@cache
def load_person_segmenter() -> TFLiteNetwork:
    """Selfie segmentation: 256 px; the share of person, [1, 1, 256, 256] within 0…1."""
    return TFLiteNetwork(ensure_weight_file("selfie_segmentation").read_bytes(), ("activation_10",), 0, 1)


def _read_graph(graph: bytes) -> cv2.dnn.Net:
    """Load a graph with OpenCV's classic engine: the new one of OpenCV 5 gives one output only. Only files take it."""
    with scratch_folder() as folder:
        path = folder / "graph.tflite"
        path.write_bytes(graph)
        return cv2.dnn.readNetFromTFLite(str(path), engine=cv2.dnn.ENGINE_CLASSIC)


def read_landmarker_file(member: str) -> bytes:
    """A file of the face landmarker's bundle, which is a zip."""
    with zipfile.ZipFile(ensure_weight_file("face_landmarker")) as bundle:
        return bundle.read(member)
