// Cuts the sound of the microphone into pieces of 20 ms.

class CaptureProcessor extends AudioWorkletProcessor {
  constructor() {
    super();
    this.piece = new Float32Array(Math.round(0.02 * sampleRate));
    this.filled = 0;
  }

  process([[input]]) {
    for (let done = 0; input && done < input.length;) {
      const part = input.subarray(done, done + this.piece.length - this.filled);
      this.piece.set(part, this.filled);
      this.filled += part.length;
      done += part.length;
      if (this.filled === this.piece.length) {
        this.port.postMessage(this.piece.slice());
        this.filled = 0;
      }
    }
    return true;
  }
}

registerProcessor("capture", CaptureProcessor);
