// Decodes the media of a live session and plays them: the sound is the clock, a picture is drawn when its time is heard.

const VIDEO_CODEC = "avc1.42c01f"; // as the server encodes; H.264 in Annex B
const SAMPLE_RATE = 48000;
const MOST_PICTURES = 8; // that wait: decoders have few buffers
const HEADER_BYTES = 12;

export const canPlay = () => ["VideoDecoder", "AudioDecoder", "AudioWorkletNode"].every((name) => name in window);

export class LivePlayer extends EventTarget {
  constructor(canvas) {
    super();
    this.canvas = canvas;
    this.brush = canvas.getContext("2d", { alpha: false, desynchronized: false });
    this.generation = 0;
    this.generations = { video: new Map(), sound: new Map() }; // of what is in the decoders, by its time
    this.isSilenced = false; // between the visitor's interruption and the server's answer
    this.pictures = [];
    this.isAudible = false;
    this.clock = null; // the last report of the worklet
    this.received = new Map(); // when sound came, by its time: tells the delay
    this.shown = { count: 0, time: -1, skews: [] };
  }

  // Starts the sound; call it from a click, since browsers want one.
  async open() {
    this.context = new AudioContext({ sampleRate: SAMPLE_RATE, latencyHint: "interactive" });
    await this.context.audioWorklet.addModule("/static/live/playout_worklet.js");
    this.output = new AudioWorkletNode(this.context, "playout", { numberOfInputs: 0, outputChannelCount: [1] });
    this.output.port.onmessage = ({ data }) => this.takeReport(data);
    this.output.connect(this.context.destination);
    await this.context.resume();
    const fail = (error) => this.fail(error);
    this.video = new VideoDecoder({ output: (frame) => this.takePicture(frame), error: fail });
    this.video.configure({ codec: VIDEO_CODEC, optimizeForLatency: true });
    this.sound = new AudioDecoder({ output: (data) => this.takeSound(data), error: fail });
    this.sound.configure({ codec: "opus", sampleRate: SAMPLE_RATE, numberOfChannels: 1 });
    this.draw = () => { this.drawDue(); this.drawing = requestAnimationFrame(this.draw); };
    this.draw();
  }

  close() {
    cancelAnimationFrame(this.drawing);
    for (const decoder of [this.video, this.sound]) if (decoder && decoder.state !== "closed") decoder.close();
    for (const picture of this.pictures.splice(0)) picture.close();
    this.output?.disconnect();
    if (this.context && this.context.state !== "closed") this.context.close();
  }

  fail(error) {
    this.dispatchEvent(new CustomEvent("failed", { detail: error }));
  }

  // A binary message of the socket: kind, key, generation, time, then the packet.
  push(buffer) {
    const view = new DataView(buffer);
    const isVideo = view.getUint8(0) === 1;
    const isKey = view.getUint8(1) === 1;
    const timestamp = Math.round(1e6 * view.getFloat64(4, true));
    const decoder = isVideo ? this.video : this.sound;
    if (decoder?.state !== "configured" || (isVideo && !isKey && !this.hasKey)) return;
    if (isVideo) this.hasKey = true;
    this.generations[isVideo ? "video" : "sound"].set(timestamp, view.getUint16(2, true));
    const Chunk = isVideo ? EncodedVideoChunk : EncodedAudioChunk;
    decoder.decode(new Chunk({ type: isKey ? "key" : "delta", timestamp, data: new Uint8Array(buffer, HEADER_BYTES) }));
    if (!isVideo) this.noteArrival(timestamp);
  }

  // Speech was interrupted: nothing of an older generation is shown or heard any more.
  clear(generation) {
    this.generation = generation % 65536;
    this.silence();
    this.isSilenced = false;
    for (const picture of this.pictures.splice(0)) picture.close();
  }

  // Nothing is heard until `clear`.
  silence() {
    this.isSilenced = true;
    this.output.port.postMessage({ clear: true });
  }

  isStale(kind, timestamp) {
    const generation = this.generations[kind].get(timestamp);
    this.generations[kind].delete(timestamp);
    return generation !== undefined && generation !== this.generation;
  }

  takeSound(data) {
    if (!this.isStale("sound", data.timestamp) && !this.isSilenced) {
      const samples = new Float32Array(data.numberOfFrames);
      data.copyTo(samples, { planeIndex: 0, format: "f32-planar" });
      const start = Math.round((data.timestamp * SAMPLE_RATE) / 1e6);
      this.output.port.postMessage({ start, samples }, [samples.buffer]);
    }
    data.close();
  }

  takePicture(picture) {
    if (this.isStale("video", picture.timestamp)) {
      picture.close();
      return;
    }
    this.pictures.push(picture);
    while (this.pictures.length > MOST_PICTURES) this.pictures.shift().close();
  }

  takeReport(data) {
    if (data.isAudible !== undefined) {
      this.isAudible = data.isAudible;
      const at = this.findMoment(data.time);
      this.dispatchEvent(new CustomEvent(data.isAudible ? "audible" : "silent", { detail: at }));
      return;
    }
    this.clock = data;
  }

  // The moment (performance.now) at which the sample of that time of the context leaves the loudspeaker.
  findMoment(time) {
    const { contextTime, performanceTime } = this.context.getOutputTimestamp();
    if (performanceTime > 0) return performanceTime + 1000 * (time - contextTime);
    return performance.now() + 1000 * (time - this.context.currentTime + this.outputDelay);
  }

  get outputDelay() {
    return this.context.outputLatency || this.context.baseLatency || 0;
  }

  // The time of the session that is being heard; null before any is.
  get heardTime() {
    if (!this.clock) return null;
    const ahead = Math.max(0, this.context.currentTime - this.clock.time);
    return this.clock.position + (this.clock.isWaiting ? 0 : ahead - this.outputDelay);
  }

  drawDue() {
    const heard = this.heardTime;
    if (heard === null) return;
    let due = null;
    while (this.pictures.length && this.pictures[0].timestamp / 1e6 <= heard) {
      due?.close();
      due = this.pictures.shift();
    }
    if (!due) return;
    if (this.canvas.width !== due.displayWidth || this.canvas.height !== due.displayHeight) {
      Object.assign(this.canvas, { width: due.displayWidth, height: due.displayHeight });
    }
    this.brush.drawImage(due, 0, 0);
    this.noteShown(due.timestamp / 1e6, heard);
    due.close();
  }

  noteShown(time, heard) {
    Object.assign(this.shown, { count: this.shown.count + 1, time });
    this.shown.skews.push(1000 * (heard - time)); // how much later than its sound a picture is drawn
    if (this.shown.skews.length > 1500) this.shown.skews.shift();
    this.dispatchEvent(new CustomEvent("shown", { detail: { time, at: performance.now() } }));
  }

  noteArrival(timestamp) {
    this.received.set(timestamp / 1e6, performance.now());
    if (this.received.size > 100) this.received.delete(this.received.keys().next().value);
  }

  // How long sound waits here, from its arrival until it is heard, in ms; null while nothing is known.
  measureDelay() {
    const heard = this.heardTime;
    if (heard === null) return null;
    const last = [...this.received.keys()].findLast((time) => time <= heard);
    if (last === undefined) return null;
    return performance.now() - this.received.get(last) - 1000 * (heard - last);
  }
}
