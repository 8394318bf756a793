"""Names of results: two recordings never meet, on any file system."""

import os
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from liveavatar.audio.batch.naming import fold_name, list_candidate_names
from liveavatar.files import MAX_NAME_BYTES

STEMS = st.text(
    st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=100
).filter(lambda stem: stem not in {".", ".."})
SUFFIXES = st.sampled_from([".mp3", ".WAV", ".wav", "", ".m4a", ".Flac"])


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("talk.mp3", ["talk.wav", "talk.mp3.wav", "talk-2.wav", "talk-3.wav"]),
        ("talk.WAV", ["talk.wav", "talk-2.wav", "talk-3.wav", "talk-4.wav"]),
        (
            "a/b/talk.v1.m4a",
            ["a/b/talk.v1.wav", "a/b/talk.v1.m4a.wav", "a/b/talk.v1-2.wav", "a/b/talk.v1-3.wav"],
        ),
        ("no suffix", ["no suffix.wav", "no suffix-2.wav", "no suffix-3.wav", "no suffix-4.wav"]),
    ],
)
def test_the_shortest_name_comes_first(source: str, names: list[str]) -> None:
    path = Path(source)
    assert list(map(str, islice(list_candidate_names(path.with_suffix(""), path.suffix), 4))) == names


@given(stem=STEMS, suffix=SUFFIXES, folder=st.sampled_from(["", "deep", "deep/er"]))
@example(stem="a" * 251, suffix=".mp3", folder="")
@example(stem="声" * 84, suffix=".mp3", folder="deep")
@example(stem="a", suffix="." + "b" * 250, folder="")
def test_names_differ_fit_a_file_system_and_stay_in_their_folder(stem: str, suffix: str, folder: str) -> None:
    names = list(islice(list_candidate_names(Path(folder) / stem, suffix), 20))
    assert len({fold_name(name) for name in names}) == 20
    assert {name.parent for name in names} == {Path(folder)}
    assert all(len(os.fsencode(name.name)) <= MAX_NAME_BYTES for name in names)
    assert all(name.name.endswith(".wav") for name in names)


@pytest.mark.parametrize(("one", "other"), [("TALK.wav", "talk.wav"), ("\u00e9.wav", "e\u0301.wav")])
def test_one_file_of_some_file_systems_is_one_name(one: str, other: str) -> None:
    assert fold_name(one) == fold_name(other)
