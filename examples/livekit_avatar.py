"""A face for a LiveKit agent: LIVEKIT_URL=... LIVEKIT_TOKEN=... python examples/livekit_avatar.py portrait.jpg"""

import asyncio
import contextlib
import os
import sys

from livekit import rtc
from livekit.agents.voice.avatar import AudioReceiver, AvatarRunner, DataStreamAudioReceiver

import liveavatar
from liveavatar.integrations.livekit import AvatarVideoGenerator
from liveavatar.live.session import LiveOptions


async def show_avatar(room: rtc.Room, receiver: AudioReceiver, portrait: str) -> None:
    """Show a portrait that speaks what `receiver` gets, until cancelled."""
    avatar = await asyncio.to_thread(liveavatar.open, portrait, size=(512, 512))
    async with AvatarVideoGenerator(avatar.actor, LiveOptions()) as face:
        runner = AvatarRunner(room, audio_recv=receiver, video_gen=face, options=face.avatar_options)
        await runner.start()
        try:
            await runner.wait_for_complete()
        finally:
            await runner.aclose()


async def main(portrait: str) -> None:
    """Speak what the agent sends with its `DataStreamAudioOutput`, until the room closes."""
    room = rtc.Room()
    await room.connect(os.environ["LIVEKIT_URL"], os.environ["LIVEKIT_TOKEN"])
    showing = asyncio.create_task(show_avatar(room, DataStreamAudioReceiver(room), portrait))
    room.on("disconnected", lambda _reason: showing.cancel())
    with contextlib.suppress(asyncio.CancelledError):
        await showing


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
