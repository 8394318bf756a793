"""A room of LiveKit's that needs no server."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from livekit import rtc


class FakePublication:
    async def wait_for_subscription(self) -> None:
        pass


@dataclass
class FakeRoom:
    """A room in which somebody listens to every track. The tracks are real, and lead nowhere."""

    tracks: list[str] = field(default_factory=list)

    @property
    def local_participant(self) -> "FakeRoom":
        return self

    async def publish_track(self, track: "rtc.Track", options: "rtc.TrackPublishOptions") -> FakePublication:
        self.tracks.append(track.name)
        return FakePublication()

    def isconnected(self) -> bool:
        return True

    def on(self, name: str, callback: object) -> None:
        pass

    def off(self, name: str, callback: object) -> None:
        pass
