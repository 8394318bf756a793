"""The AIGC tag, ours and others'."""

import json

import pytest

from liveavatar.provenance.aigc import build_aigc_tag, parse_aigc_tag


def test_the_tag_has_the_fields_of_the_standard() -> None:
    tag = json.loads(build_aigc_tag("声音工作室"))
    assert list(tag) == [
        "Label", "ContentProducer", "ProduceID", "ReservedCode1", "ContentPropagator", "PropagateID", "ReservedCode2",
    ]  # fmt: skip
    assert (tag["Label"], tag["ContentProducer"]) == ("1", "声音工作室")
    assert all(isinstance(value, str) for value in tag.values())


def test_every_video_has_a_number_of_its_own() -> None:
    tags = [parse_aigc_tag(build_aigc_tag()) for _ in range(20)]
    assert len({tag.produce_id for tag in tags if tag}) == 20
    assert all(tag is not None and tag.is_generated for tag in tags)


@pytest.mark.parametrize(
    ("label", "generated"), [("1", True), (2, True), ("3", True), ("0", False), ("", False)]
)
def test_labels_of_others_are_read(label: object, generated: bool) -> None:
    tag = parse_aigc_tag(json.dumps({"Label": label, "ContentProducer": "Other"}))
    assert tag is not None
    assert (tag.is_generated, tag.producer, tag.produce_id) == (generated, "Other", "")


@pytest.mark.parametrize("text", ["", "1", "[]", "{", "[" * 8000, json.dumps({"Label": "1" * 9000}), "null"])
def test_what_is_no_tag_is_none(text: str) -> None:
    assert parse_aigc_tag(text) is None
