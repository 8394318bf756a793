"""Endpoints named in the environment or a file, and who answers then."""

from pathlib import Path

import pytest

from liveavatar.conversation.partner import EchoPartner, SpokenPartner
from liveavatar.errors import OptionError
from liveavatar.server.converse import ConversationOpener, create_conversation_opener
from liveavatar.server.endpoints.endpoint_settings import EndpointSettings, load_endpoints
from liveavatar.server.settings import ServerSettings

URL = "https://models.example/v1"


def test_the_environment_is_stronger_than_the_file(tmp_path: Path) -> None:
    file = tmp_path / "endpoints.toml"
    file.write_text(
        f'[llm]\nurl = "{URL}"\nmodel = "small"\nkey = "k"\n[tts]\nurl = "{URL}"\nvoice = "anna"\n'
    )
    found = load_endpoints(
        {"LIVEAVATAR_LLM_MODEL": "large", "LIVEAVATAR_ASR_URL": "http://127.0.0.1:1"}, file
    )
    assert found == {
        "llm": EndpointSettings(url=URL, model="large", key="k"),
        "tts": EndpointSettings(url=URL, voice="anna"),
        "asr": EndpointSettings(url="http://127.0.0.1:1"),
    }
    assert load_endpoints({}) == {}


def test_a_key_is_not_printed() -> None:
    assert "sesame" not in repr(EndpointSettings(url=URL, key="sesame"))


@pytest.mark.parametrize(
    "url",
    [
        "",
        "models.example",
        "file:///etc/passwd",
        "https://",
        "https://me:pass@models.example",
        URL + "?key=1",
    ],
)
def test_an_unusable_address_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(OptionError, match="https://host/v1") as caught:
        EndpointSettings(url=url)
    assert "pass" not in str(caught.value)


def test_a_key_goes_encrypted_to_other_machines() -> None:
    with pytest.raises(OptionError, match="unencrypted"):
        EndpointSettings(url="http://models.example/v1", key="k")
    EndpointSettings(url="http://localhost:8000/v1", key="k")
    for key in ("k\n", "ключ"):
        with pytest.raises(OptionError, match="copy it again"):
            EndpointSettings(url=URL, key=key)


@pytest.mark.parametrize(
    "text",
    [
        "[",
        "[other]\n",
        "llm = 1\n",
        "[llm]\nurl = 7\n",
        "[llm]\nhost = 'a'\n",
        "\xff",
        "[llm]\nmodel = 'a'\n",
    ],
)
def test_a_wrong_file_is_one_line(tmp_path: Path, text: str) -> None:
    file = tmp_path / "endpoints.toml"
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(OptionError) as caught:
        load_endpoints({}, file)
    assert caught.value.remedy
    with pytest.raises(OptionError, match="cannot be read"):
        load_endpoints({}, tmp_path / "missing.toml")


def test_who_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ASR", "LLM", "TTS"):
        monkeypatch.delenv(f"LIVEAVATAR_{name}_URL", raising=False)
    endpoints = {part: EndpointSettings(url="http://127.0.0.1:1") for part in ("asr", "llm", "tts")}
    assert isinstance(ConversationOpener("echo", {})._partner, EchoPartner)
    assert isinstance(ConversationOpener("auto", endpoints)._partner, SpokenPartner)
    assert isinstance(ConversationOpener("auto", {"llm": endpoints["llm"]})._partner, SpokenPartner)
    with pytest.raises(OptionError, match="LIVEAVATAR_LLM_URL"):
        ConversationOpener("auto", {})
    with pytest.raises(OptionError, match="echo or auto"):
        ConversationOpener("loud", {})
    assert create_conversation_opener(ServerSettings(folder=tmp_path)) is None
    with pytest.raises(OptionError, match="--converse"):
        create_conversation_opener(ServerSettings(folder=tmp_path, endpoints_file=tmp_path))


def test_a_server_refuses_a_conversation_that_it_cannot_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LIVEAVATAR_LLM_URL", raising=False)
    with pytest.raises(OptionError, match="LIVEAVATAR_LLM_URL"):
        create_conversation_opener(ServerSettings(folder=tmp_path, converse="auto"))
    opener = create_conversation_opener(ServerSettings(folder=tmp_path, converse="echo"))
    assert opener is not None
    assert opener.mode == "echo"
