import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing

from drawn import SEEDS, draw
from liveavatar.dit.checkpoint import load
from liveavatar.dit.checkpoint.encoders import map_text_key, open_tokenizer
from liveavatar.dit.codecs.text_encoder import TextEncoder, build_text_network, clean_prompt
from liveavatar.dit.plan.config import TextEncoderConfig
from liveavatar.errors import WeightsError

GOLDEN_FOLDER = Path(__file__).parents[2] / "golden"
GOLDEN = load_file(GOLDEN_FOLDER / "t5.safetensors")
TINY = TextEncoderConfig(vocabulary=100, width=32, head_width=8, heads=4, hidden=48, layers=2)

BLOCK = {
    "norm1": [32],
    "norm2": [32],
    **{f"attn.{part}": [32, 32] for part in "qkvo"},
    "ffn.gate.0": [48, 32],
    "ffn.fc1": [48, 32],
    "ffn.fc2": [32, 48],
    "pos_embedding.embedding": [32, 4],
}
OFFICIAL = {"token_embedding.weight": [100, 32], "norm.weight": [32]} | {
    f"blocks.{layer}.{part}.weight": shape for layer in range(2) for part, shape in BLOCK.items()
}
"""Names and shapes of the checkpoint at the golden file's size."""


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> torch.nn.Module:
    path = tmp_path_factory.mktemp("t5") / "t5.safetensors"
    save_file(draw(OFFICIAL, SEEDS["t5"]), path)
    with torch.device("meta"):
        module = build_text_network(TINY)
    load.load_checkpoint(module, [path], rename=map_text_key)
    return module


@pytest.mark.parametrize("row", [0, 1])
def test_encodes_as_the_reference_does(network: torch.nn.Module, row: int) -> None:
    length = int(GOLDEN["mask"][row].sum())
    encoder = TextEncoder(network, lambda _: GOLDEN["ids"][row, :length].tolist())
    torch.testing.assert_close(encoder.encode("any"), GOLDEN["out"][row, :length], rtol=0, atol=1e-5)


def test_the_tokenizer_gets_the_cleaned_prompt(network: torch.nn.Module) -> None:
    heard = []

    def tokenize(text: str) -> list[int]:
        heard.append(text)
        return [1]

    TextEncoder(network, tokenize).encode("  A\u00a0 man &amp;amp; a\n\nwoman ")
    assert heard == ["A man & a woman"]


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("a  b\tc", "a b c"),
        ("caf\u00c3\u00a9", "café"),
        ("&amp;lt;b&amp;gt;", "<b>"),
        ("", ""),
        ("一个 女人", "一个 女人"),
    ],
)
def test_cleans_text(text: str, cleaned: str) -> None:
    assert clean_prompt(text) == cleaned


def test_every_name_of_the_full_size_is_known() -> None:
    with torch.device("meta"):
        module = build_text_network(TextEncoderConfig())
    official = dict(line.split("\t") for line in (GOLDEN_FOLDER / "t5_keys.txt").read_text().splitlines())
    assert len(official) == 242
    assert {map_text_key(key): shape for key, shape in official.items()} == {
        name: str(list(tensor.shape)) for name, tensor in module.state_dict().items()
    }


def test_unknown_names_are_kept_to_be_reported() -> None:
    assert map_text_key("blocks.0.attn.extra.weight") == "blocks.0.attn.extra.weight"
    assert map_text_key("decoder.weight") == "decoder.weight"


@pytest.fixture
def tokenizer_folder(tmp_path: Path) -> Path:
    words = Tokenizer(WordLevel({"<pad>": 0, "</s>": 1, "<unk>": 2, "speak": 3, "slowly": 4}, "<unk>"))
    words.pre_tokenizer = Whitespace()
    words.post_processor = TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    words.save(str(tmp_path / "tokenizer.json"))
    named = {"eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
    config = {"tokenizer_class": "PreTrainedTokenizerFast", **named}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    return tmp_path


def test_reads_the_tokenizer_of_a_checkpoint(tokenizer_folder: Path) -> None:
    tokenize = open_tokenizer(tokenizer_folder)
    assert tokenize("speak slowly please") == [3, 4, 2, 1]
    assert tokenize("") == [1]


def test_truncates_long_prompts_and_keeps_the_end_token(tokenizer_folder: Path) -> None:
    ids = open_tokenizer(tokenizer_folder)("speak " * 600)
    assert len(ids) == 512
    assert ids[-1] == 1


def test_says_when_there_is_no_tokenizer(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="weights fetch live-avatar"):
        open_tokenizer(tmp_path)
