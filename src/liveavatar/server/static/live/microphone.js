// The microphone: what somebody says into it goes out as speech, one for each time they speak. In a conversation all that
// it hears goes out, and the server finds the turns.

import { makeName } from "./connection.js";

const PIECES_BEFORE = 12; // of 20 ms, that are sent when somebody begins
const PIECES_AFTER = 35; // of quiet after which a speech is over
const LEAST_LEVEL = 0.008;
const ABOVE_FLOOR = 3; // a voice is so much louder than the room
const FLOOR_RISE = 1.005; // a piece

export class Microphone {
  constructor(context, connection, isConversation, onspeech) {
    Object.assign(this, { context, connection, isConversation, onspeech });
    this.before = [];
    this.name = null; // of the speech that goes out
    this.quiet = 0;
    this.floor = LEAST_LEVEL;
  }

  // Throws if the browser or the system does not allow it.
  async open() {
    const audio = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };
    this.stream = await navigator.mediaDevices.getUserMedia({ audio });
    await this.context.audioWorklet.addModule("/static/live/capture_worklet.js");
    this.source = this.context.createMediaStreamSource(this.stream);
    this.capture = new AudioWorkletNode(this.context, "capture", { outputChannelCount: [1] });
    this.capture.port.onmessage = ({ data }) => this.take(data);
    this.source.connect(this.capture).connect(this.context.destination); // it is silent, but has to be pulled
  }

  close() {
    this.finish();
    this.source?.disconnect();
    this.capture?.disconnect();
    this.stream?.getTracks().forEach((track) => track.stop());
  }

  take(piece) {
    if (this.isConversation) this.connection.sendHeard(piece);
    else this.takeSpeech(piece);
  }

  takeSpeech(piece) {
    const level = Math.sqrt(piece.reduce((sum, value) => sum + value * value, 0) / piece.length);
    this.floor = Math.max(1e-4, Math.min(level, this.floor * FLOOR_RISE));
    const isVoice = level > Math.max(LEAST_LEVEL, ABOVE_FLOOR * this.floor);
    this.quiet = isVoice ? 0 : this.quiet + 1;
    if (!this.name && isVoice) this.begin();
    if (this.name) this.connection.sendPiece(this.name, piece);
    if (this.name && this.quiet > PIECES_AFTER) this.finish();
    this.before.push(piece);
    if (this.before.length > PIECES_BEFORE) this.before.shift();
  }

  begin() {
    this.name = makeName();
    this.onspeech(this.name);
    for (const piece of this.before) this.connection.sendPiece(this.name, piece);
  }

  // Ends the speech that goes out.
  finish() {
    if (this.name) this.connection.finishSpeech(this.name);
    this.name = null;
  }
}
