// The WebSocket of a live session: events and media come as DOM events, speech goes out in pieces.
// docs/live-socket.md has the protocol.

const SAMPLE_RATE = 48000;
const PIECE_SECONDS = 0.25;
const AHEAD_SECONDS = 3; // of speech that the server may hold
const DELAY_MS = 1000; // between two reports of the playout delay

export class LiveConnection extends EventTarget {
  constructor(path, measureDelay) {
    super();
    const address = new URL(path, location.href);
    address.protocol = address.protocol.replace("http", "ws");
    this.socket = new WebSocket(address);
    this.socket.binaryType = "arraybuffer";
    this.socket.onmessage = ({ data }) => this.take(data);
    this.socket.onclose = () => { this.stop(); this.announce("closed", {}); };
    this.reporter = setInterval(() => this.reportDelay(measureDelay()), DELAY_MS);
  }

  take(data) {
    if (data instanceof ArrayBuffer) this.announce("media", data);
    else {
      const event = JSON.parse(data);
      this.announce(event.type, event);
    }
  }

  announce(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }

  send(event) {
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(event));
  }

  close() {
    this.stop();
    this.socket.close();
  }

  stop() {
    clearInterval(this.reporter);
    clearInterval(this.speaking);
  }

  // Float32 samples at 48 kHz, more of the speech `name`; a new name begins another one.
  sendPiece(name, samples) {
    this.send({ type: "response.output_audio.delta", response_id: name, delta: encodeSamples(samples), rate: SAMPLE_RATE });
  }

  finishSpeech(name) {
    this.send({ type: "response.output_audio.done", response_id: name });
  }

  // Float32 samples at 48 kHz that the microphone hears, silence too: a conversation finds the turns in them.
  sendHeard(samples) {
    this.send({ type: "input_audio_buffer.append", audio: encodeSamples(samples), rate: SAMPLE_RATE });
  }

  // A typed question to a face that answers.
  ask(text) {
    this.send({ type: "conversation.item.create", item: { type: "message", role: "user", content: [{ type: "input_text", text }] } });
    this.send({ type: "response.create" });
  }

  // A whole speech, at the pace at which it is spoken; replaces what was being sent. Returns its name.
  speak(samples) {
    clearInterval(this.speaking);
    const name = makeName();
    const piece = PIECE_SECONDS * SAMPLE_RATE;
    const began = performance.now();
    let sent = 0;
    const sendDue = () => {
      const due = ((performance.now() - began) / 1000 + AHEAD_SECONDS) * SAMPLE_RATE;
      for (; sent < Math.min(due, samples.length); sent += piece) this.sendPiece(name, samples.subarray(sent, sent + piece));
      if (sent < samples.length) return;
      clearInterval(this.speaking);
      this.finishSpeech(name);
    };
    this.speaking = setInterval(sendDue, 100);
    sendDue();
    return name;
  }

  interrupt() {
    clearInterval(this.speaking);
    this.send({ type: "response.cancel" });
  }

  changeEmotion(emotion) {
    this.send({ type: "session.update", session: { emotion } });
  }

  reportDelay(delay) {
    if (delay !== null) this.send({ type: "output_audio_buffer.delay", delay_ms: Math.max(0, Math.round(delay)) });
  }
}

export const makeName = () => Array.from(crypto.getRandomValues(new Uint32Array(3)), (part) => part.toString(36)).join("");

function encodeSamples(samples) {
  const bytes = new Uint8Array(2 * samples.length);
  const view = new DataView(bytes.buffer);
  samples.forEach((value, index) => view.setInt16(2 * index, Math.max(-32768, Math.min(32767, Math.round(32767 * value))), true));
  let text = "";
  for (let start = 0; start < bytes.length; start += 8192) text += String.fromCharCode(...bytes.subarray(start, start + 8192));
  return btoa(text);
}
