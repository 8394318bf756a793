"""A face in a Pipecat pipeline: python examples/pipecat_avatar.py portrait.jpg speech.wav

A bot has its speech service before the face, and `transport.output()` behind it, where this has nothing.
"""

import asyncio
import sys
import wave

from pipecat.frames.frames import EndFrame, OutputImageRawFrame, TTSAudioRawFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker
from pipecat.workers.runner import WorkerRunner

import liveavatar
from liveavatar.integrations.pipecat import AvatarVideoService
from liveavatar.live.session import LiveOptions


async def main(portrait: str, speech: str) -> None:
    """Let a portrait speak a 16-bit WAV, and print what would be shown and heard."""
    avatar = liveavatar.open(portrait, size=(512, 512))
    worker = PipelineWorker(Pipeline([AvatarVideoService(avatar.actor, LiveOptions())]))
    worker.set_reached_downstream_filter((OutputImageRawFrame, TTSAudioRawFrame))
    worker.add_event_handler("on_frame_reached_downstream", lambda _worker, frame: print(frame))
    with wave.open(speech, "rb") as file:
        sound = TTSAudioRawFrame(file.readframes(-1), file.getframerate(), file.getnchannels())
    await worker.queue_frames([sound, EndFrame()])
    runner = WorkerRunner()
    await runner.add_workers(worker)
    await runner.run()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:3]))
