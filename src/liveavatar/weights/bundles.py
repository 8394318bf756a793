"""Models of many large files on the Hugging Face hub: repositories, file names, sizes, licences."""

from dataclasses import dataclass

from liveavatar.errors import WeightsError


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedFiles:
    """Files of a repository: those that match the first of `patterns` that matches any file.

    `size` in bytes is exact if `sha256` is given, else approximate. If given, both are compared with what the hub
    declares.
    """

    patterns: tuple[str, ...]
    purpose: str
    size: int
    sha256: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HubRepository:
    """A model repository on the hub, and the files needed from it."""

    name: str
    licence: str
    wanted_files: tuple[WantedFiles, ...]

    @property
    def size(self) -> int:
        """Approximate size in bytes."""
        return sum(want.size for want in self.wanted_files)


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightBundle:
    """All files of an engine, fetched together."""

    name: str
    purpose: str
    repositories: tuple[HubRepository, ...]

    @property
    def size(self) -> int:
        """Approximate size in bytes."""
        return sum(repository.size for repository in self.repositories)


_WAV2VEC2_FOLDER = "wav2vec2-large-xlsr-53-english"

WAN_REPOSITORY = HubRepository(
    name="Wan-AI/Wan2.2-S2V-14B",
    licence="Apache-2.0",
    wanted_files=(
        WantedFiles(patterns=("config.json",), purpose="sizes of the transformer", size=1_500),
        WantedFiles(
            patterns=("diffusion_pytorch_model*.safetensors",),
            purpose="the transformer, 16.3 billion parameters in bfloat16",
            size=32_600_000_000,
        ),
        WantedFiles(
            patterns=("diffusion_pytorch_model.safetensors.index.json",),
            purpose="index of the tensors in the files",
            size=120_000,
        ),
        WantedFiles(
            patterns=("models_t5_umt5-xxl-enc-bf16.pth",),
            purpose="the text encoder UMT5-XXL in bfloat16",
            size=11_361_920_418,
            sha256="7cace0da2b446bbbbc57d031ab6cf163a3d59b366da94e5afe36745b746fd81d",
        ),
        WantedFiles(patterns=("google/umt5-xxl/*",), purpose="its tokenizer", size=21_500_000),
        WantedFiles(
            patterns=("Wan2.1_VAE.pth",),
            purpose="the video autoencoder in float32",
            size=507_609_880,
            sha256="38071ab59bd94681c686fa51d75a1968f64e470262043be31f7a094e442fd981",
        ),
        WantedFiles(
            patterns=(f"{_WAV2VEC2_FOLDER}/*config.json",), purpose="sizes of the audio encoder", size=2_000
        ),
        WantedFiles(
            patterns=(f"{_WAV2VEC2_FOLDER}/model.safetensors", f"{_WAV2VEC2_FOLDER}/pytorch_model.bin"),
            purpose="the audio encoder wav2vec 2.0 in float32",
            size=1_262_000_000,
        ),
    ),
)

LORA_REPOSITORY = HubRepository(
    name="Quark-Vision/Live-Avatar",
    licence="see the model's page",
    wanted_files=(
        WantedFiles(
            patterns=("liveavatar.safetensors",),
            purpose="LoRA for streaming in four steps",
            size=1_350_000_000,
        ),
    ),
)

WEIGHT_BUNDLES = (
    WeightBundle(
        name="live-avatar",
        purpose="the engine dit: streaming video diffusion, 14B",
        repositories=(WAN_REPOSITORY, LORA_REPOSITORY),
    ),
)


def find_weight_bundle(name: str) -> WeightBundle:
    """The bundle called `name`.

    Raises:
        WeightsError: there is none.
    """
    for bundle in WEIGHT_BUNDLES:
        if bundle.name == name:
            return bundle
    raise WeightsError(
        f"there is no bundle called {name!r}", f"choose from: {', '.join(b.name for b in WEIGHT_BUNDLES)}"
    )
