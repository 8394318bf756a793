// The speech: dropped, chosen or recorded; then its waveform, what was found and what is mended.

import { post } from "../lib/api.js";
import { make, makeFileButton, makeSvg } from "../lib/dom.js";
import { currentLanguage, formatSeconds, has, say } from "../lib/language.js";
import { makeFindings, translate } from "./findings.js";
import { UploadCard } from "./upload_card.js";

const ACCEPTED = "audio/*,video/*,.opus,.flac,.m4a,.amr,.wav";
const WAVE_HEIGHT = 100;

export class SpeechCard extends UploadCard {
  constructor(studio, onchange) {
    super("speech", "/api/speeches", studio.limits.speech_bytes, onchange);
    this.maxSeconds = studio.limits.speech_seconds;
    this.voices = studio.voices;
    this.maxCharacters = studio.limits.text_characters;
    this.text = "";
    this.voice = "auto";
    this.recorder = null;
    this.note = "";
  }

  makeField() {
    if (this.recorder) return [this.makeRecorder()];
    return [make("div", { class: "field" },
      make("p", { class: "drop" }, say("speech.drop")),
      make("p", { class: "hint" }, say("speech.hint", { minutes: Math.round(this.maxSeconds / 60) })),
      this.makeButtons("speech.choose", "speech.record"),
      this.note && make("p", { class: "problem", role: "alert" }, say(this.note))),
      this.voices.length > 0 && this.makeText()].filter(Boolean);
  }

  // A text to type, and a voice that speaks it.
  makeText() {
    const text = make("textarea", { id: "text", rows: 3, maxlength: this.maxCharacters, required: true, value: this.text,
      oninput: () => { this.text = text.value; } });
    const voice = make("select", { "aria-label": say("text.voice"), onchange: () => { this.voice = voice.value; } },
      make("option", { value: "auto" }, say("text.auto")),
      this.voices.map((entry) => make("option", { value: entry.name }, describeVoice(entry))));
    voice.value = this.voice;
    return make("form", { class: "text", onsubmit: (event) => { event.preventDefault(); this.sendText(); } },
      make("label", { for: "text" }, say("text.label")), text,
      make("div", { class: "buttons" }, voice, make("button", {}, say("text.speak"))));
  }

  async sendText() {
    this.forget();
    Object.assign(this, { error: null, file: null });
    await this.follow({ share: 1, abort: () => {} }, post("/api/speeches/text", { text: this.text, voice: this.voice }));
  }

  makeButtons(choose, record) {
    return make("div", { class: "buttons" },
      makeFileButton(say(choose), ACCEPTED, (file) => this.send(file), { class: this.result ? "" : "main" }),
      navigator.mediaDevices && make("button", { type: "button", onclick: () => this.record() }, say(record)));
  }

  async record() {
    this.note = "";
    let stream;
    try {
      stream = await navigator.mediaDevices.getUserMedia({ audio: { echoCancellation: false, noiseSuppression: false } });
    } catch {
      this.note = "speech.no-microphone";
      if (this.result) this.reset(); else this.show();
      return;
    }
    this.reset();
    const pieces = [];
    const recorder = new MediaRecorder(stream);
    recorder.ondataavailable = ({ data }) => pieces.push(data);
    recorder.onstop = () => {
      stream.getTracks().forEach((track) => track.stop());
      clearInterval(this.ticker);
      this.recorder = null;
      this.send(new Blob(pieces, { type: recorder.mimeType }), say("speech.name"));
    };
    this.recorder = recorder;
    this.began = performance.now();
    this.ticker = setInterval(() => this.showTime(), 250);
    recorder.start(1000);
    this.show();
  }

  makeRecorder() {
    this.time = make("p", { class: "recording", role: "timer" });
    this.showTime();
    return make("div", { class: "field" }, this.time, make("div", { class: "buttons" },
      make("button", { type: "button", class: "main", onclick: () => this.recorder.stop() }, say("speech.stop"))));
  }

  showTime() {
    const seconds = (performance.now() - this.began) / 1000;
    const clock = `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
    this.time.textContent = say("speech.recording", { time: clock });
    if (seconds >= this.maxSeconds - 1 && this.recorder.state === "recording") this.recorder.stop();
  }

  makeResult() {
    const { name, check } = this.result;
    const mended = check.mended.length > 0 && make("div", { class: "mended" },
      make("p", {}, say("speech.mended")), make("ul", {}, check.mended.map((text) => make("li", {}, translate(text)))));
    return [
      make("p", { class: "name" }, make("span", { class: "file" }, name), make("span", {}, formatSeconds(check.seconds))),
      makeWaveform(check.columns), this.makePlayer(),
      make("p", { class: `verdict ${check.level}` }, say(`speech.level.${check.level}`)),
      mended, makeFindings(check.findings), this.makeButtons("speech.other", "speech.record"),
    ].flat().filter(Boolean);
  }

  // The file as it was given; browsers cannot play every kind.
  makePlayer() {
    const player = make("audio", { controls: true, preload: "metadata" });
    player.addEventListener("error", () => player.remove());
    this.readSound().then((sound) => {
      if (this.url) URL.revokeObjectURL(this.url);
      this.url = URL.createObjectURL(sound);
      player.src = this.url;
    }, () => player.remove());
    return player;
  }

  async readSound() {
    if (this.file) return this.file;
    const response = await fetch(`/api/speeches/${this.result.id}/sound`);
    return new Blob([await response.arrayBuffer()], { type: "audio/wav" });
  }
}

function describeVoice({ name, languages, description }) {
  const names = new Intl.DisplayNames(currentLanguage() === "zh" ? "zh-CN" : "en", { type: "language" });
  const key = `voice.${description}`;
  return `${names.of(languages[0])}${say("comma")}${has(key) ? say(key) : description}: ${name}`;
}

function makeWaveform(columns) {
  const peak = Math.max(0.05, ...columns.map(([low, high]) => Math.max(-low, high)));
  const draw = (wanted) => columns.map(([low, high, voice], x) => {
    if (voice !== wanted) return "";
    const top = (WAVE_HEIGHT / 2) * (1 - high / peak);
    return `M${x + 0.5} ${top.toFixed(1)}V${Math.max(top + 0.6, (WAVE_HEIGHT / 2) * (1 - low / peak)).toFixed(1)}`;
  }).join("");
  return make("figure", { class: "wave" },
    makeSvg("svg", { viewBox: `0 0 ${columns.length} ${WAVE_HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": say("speech.wave") },
      makeSvg("path", { class: "rest", d: draw(0) }), makeSvg("path", { class: "voice", d: draw(1) })),
    make("figcaption", {}, make("span", { class: "voice" }, say("speech.voice")), make("span", { class: "rest" }, say("speech.rest"))));
}
