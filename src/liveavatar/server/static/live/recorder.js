// Records what is seen and heard into a file.

const KINDS = ["video/mp4;codecs=avc1.42c01f,mp4a.40.2", "video/webm;codecs=vp9,opus", "video/webm"];
const FRAME_RATE = 25;

export const canRecord = () => "MediaRecorder" in window && "captureStream" in HTMLCanvasElement.prototype;

export class StageRecorder {
  constructor(canvas, player) {
    this.player = player;
    this.sound = player.context.createMediaStreamDestination();
    player.output.connect(this.sound);
    const tracks = [...canvas.captureStream(FRAME_RATE).getVideoTracks(), ...this.sound.stream.getAudioTracks()];
    this.pieces = [];
    this.recorder = new MediaRecorder(new MediaStream(tracks), { mimeType: KINDS.find((kind) => MediaRecorder.isTypeSupported(kind)) });
    this.recorder.ondataavailable = ({ data }) => this.pieces.push(data);
    this.recorder.onstop = () => this.save();
    this.recorder.start(1000);
  }

  stop() {
    if (this.recorder.state !== "inactive") this.recorder.stop();
  }

  save() {
    const type = this.recorder.mimeType.split(";")[0];
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob(this.pieces, { type }));
    link.download = `liveavatar-${new Date().toISOString().slice(0, 19).replaceAll(":", "-")}.${type.split("/")[1]}`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  }
}
