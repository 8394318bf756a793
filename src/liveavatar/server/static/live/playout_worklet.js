// Plays the sound of a live session, and is the clock of its pictures. Runs in the thread of the sound.
//
// Positions are samples of the session's timeline. The clock advances while sound is played, stands still while none is
// there, and runs through short holes (of an interruption, of a lost packet) in silence.

const START_SAMPLES = Math.round(0.06 * sampleRate); // that wait before the clock starts
const MORE_SAMPLES = Math.round(0.02 * sampleRate); // after each time when none was there
const MOST_SAMPLES = Math.round(0.2 * sampleRate);
const LONG_HOLE_SAMPLES = Math.round(0.5 * sampleRate);
const FADE_SAMPLES = Math.round(0.005 * sampleRate);
const WATCH_SAMPLES = 2 * sampleRate; // over which what always waits is found, to be skipped in silence
const REPORT_BLOCKS = 4;
const AUDIBLE = 0.003;

class PlayoutProcessor extends AudioWorkletProcessor {
  constructor() {
    super();
    this.chunks = []; // { start, samples }, in order
    this.position = null; // of the next sample to be played; null before the first sound
    this.isWaiting = true;
    this.running = 0; // samples for which the clock runs without sound, after an interruption
    this.wanted = START_SAMPLES;
    this.leastWaiting = Infinity;
    this.watched = 0;
    this.blocks = 0;
    this.isAudible = false;
    this.last = 0; // the last sample, from which an interruption fades
    this.fade = 0;
    this.port.onmessage = ({ data }) => (data.clear ? this.clear() : this.chunks.push(data));
  }

  clear() {
    this.chunks = [];
    this.fade = FADE_SAMPLES;
    this.running = LONG_HOLE_SAMPLES;
  }

  get waiting() {
    const end = this.chunks.at(-1);
    return end ? end.start + end.samples.length - this.position : 0;
  }

  process(_inputs, [[output]]) {
    if (this.position === null && this.chunks.length) this.position = this.chunks[0].start;
    if (this.position !== null) this.play(output);
    this.fadeOut(output);
    this.last = output.at(-1);
    this.report(output);
    return true;
  }

  play(output) {
    if (this.isWaiting && this.waiting < this.wanted) return;
    this.isWaiting = false;
    this.skipSilence(output.length);
    for (let done = 0; done < output.length;) {
      const chunk = this.chunks[0];
      if (!chunk && this.running > 0) {
        this.position += output.length - done;
        this.running -= output.length - done;
        return;
      }
      if (!chunk) {
        this.isWaiting = true;
        this.wanted = Math.min(this.wanted + MORE_SAMPLES, MOST_SAMPLES);
        return;
      }
      this.running = 0;
      const hole = chunk.start - this.position;
      if (hole > LONG_HOLE_SAMPLES) this.position = chunk.start;
      else if (hole > 0) {
        const count = Math.min(hole, output.length - done);
        this.position += count;
        done += count;
        continue;
      }
      const offset = this.position - chunk.start;
      const part = chunk.samples.subarray(Math.max(0, offset), Math.max(0, offset) + output.length - done);
      output.set(part, done);
      done += part.length;
      this.position += part.length;
      if (part.length + offset >= chunk.samples.length) this.chunks.shift();
    }
  }

  // Sound that has waited for all of the last seconds is only delay: skip it where nothing is heard.
  skipSilence(length) {
    this.leastWaiting = Math.min(this.leastWaiting, this.waiting);
    this.watched += length;
    if (this.watched < WATCH_SAMPLES) return;
    let excess = this.leastWaiting - this.wanted - MORE_SAMPLES;
    while (excess > 0) {
      const chunk = this.chunks[0];
      if (!chunk || chunk.samples.some((value) => Math.abs(value) >= AUDIBLE)) return; // at the next silence
      const begin = Math.max(this.position, chunk.start);
      const end = Math.min(begin + excess, chunk.start + chunk.samples.length);
      this.position = end;
      this.leastWaiting -= end - begin;
      excess -= end - begin;
      if (end === chunk.start + chunk.samples.length) this.chunks.shift();
    }
    this.leastWaiting = Infinity;
    this.watched = 0;
  }

  fadeOut(output) {
    for (let index = 0; index < output.length && this.fade > 0; index += 1, this.fade -= 1) {
      output[index] += this.last * (this.fade / FADE_SAMPLES);
    }
  }

  report(output) {
    const first = output.findIndex((value) => Math.abs(value) >= AUDIBLE);
    const isAudible = first >= 0;
    this.silence = isAudible ? 0 : (this.silence ?? 0) + output.length;
    const isOnset = isAudible && !this.isAudible;
    const isEnd = this.isAudible && this.silence >= FADE_SAMPLES;
    if (isOnset || isEnd) {
      this.isAudible = isOnset;
      const frame = isOnset ? currentFrame + first : currentFrame + output.length - this.silence;
      this.port.postMessage({ isAudible: isOnset, time: frame / sampleRate });
    }
    this.blocks = (this.blocks + 1) % REPORT_BLOCKS;
    if (this.blocks || this.position === null) return;
    this.port.postMessage({
      position: this.position / sampleRate, // when what follows this block is heard
      time: (currentFrame + output.length) / sampleRate,
      waiting: this.waiting / sampleRate, isWaiting: this.isWaiting,
    });
  }
}

registerProcessor("playout", PlayoutProcessor);
