// Measures a live session as its visitor sees and hears it. Times are in ms.

const MOST = 200;

export class Measurements {
  constructor(player, connection) {
    this.values = { answer: [], onset: [], interrupt: [] };
    this.player = player;
    this.asked = new Map(); // when speech was sent, by its name
    this.expected = null; // the picture that is waited for: { time, askedAt }
    this.onset = null; // when sound was heard, and when its picture was shown
    this.interruptedAt = null;
    connection.addEventListener("output_audio_buffer.started", ({ detail }) => this.noteStart(detail));
    player.addEventListener("shown", ({ detail }) => this.noteShown(detail));
    player.addEventListener("audible", ({ detail }) => this.noteAudible(detail));
    player.addEventListener("silent", ({ detail }) => this.noteSilent(detail));
  }

  // Speech of that name was sent at that moment.
  noteSpeech(name, at) {
    this.asked.set(name, at);
  }

  noteInterrupt() {
    if (this.player.isAudible) this.interruptedAt = performance.now();
    else this.add("interrupt", 0); // it is silent already
  }

  noteStart({ response_id: name, time }) {
    if (!this.asked.has(name)) return;
    this.expected = { time, askedAt: this.asked.get(name) };
    this.asked.delete(name);
    this.onset = {};
  }

  noteShown({ time, at }) {
    if (!this.expected || time < this.expected.time - 0.001) return;
    this.add("answer", at - this.expected.askedAt);
    this.expected = null;
    this.noteOnset({ shownAt: at });
  }

  noteAudible(at) {
    this.noteOnset({ audibleAt: at });
  }

  noteOnset(found) {
    if (!this.onset) return;
    Object.assign(this.onset, found);
    const { shownAt, audibleAt } = this.onset;
    if (shownAt === undefined || audibleAt === undefined) return;
    this.add("onset", shownAt - audibleAt);
    this.onset = null;
  }

  noteSilent(at) {
    if (this.interruptedAt !== null) this.add("interrupt", at - this.interruptedAt);
    this.interruptedAt = null;
  }

  add(name, value) {
    this.values[name].push(value);
    if (this.values[name].length > MOST) this.values[name].shift();
  }

  // All of it, for programs.
  get report() {
    const { skews, count } = this.player.shown;
    return { ...this.values, skew: skews, shown: count, delay: this.player.measureDelay(), waiting: this.player.clock?.waiting ?? null };
  }

  // Medians, for people.
  get summary() {
    const { skews } = this.player.shown;
    return { answer: median(this.values.answer), interrupt: median(this.values.interrupt.filter((value) => value > 0)), skew: median(skews), delay: this.player.measureDelay() };
  }
}

function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted.length ? sorted[Math.floor(sorted.length / 2)] : null;
}
