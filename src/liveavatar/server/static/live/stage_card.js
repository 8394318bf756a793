// A live session: the face, what it is told, and what can be done with it.

import { post, remove } from "../lib/api.js";
import { acceptDrops, make, makeFileButton } from "../lib/dom.js";
import { say } from "../lib/language.js";
import { LiveConnection } from "./connection.js";
import { Measurements } from "./measurements.js";
import { Microphone } from "./microphone.js";
import { LivePlayer } from "./player.js";
import { canRecord, StageRecorder } from "./recorder.js";
import { describeError } from "./setup_card.js";

const ACCEPTED = "audio/*,video/*,.opus,.flac,.m4a,.wav";
const SUMMARY_MS = 1000;

export class StageCard {
  constructor(studio, onopen) {
    Object.assign(this, { studio, onopen });
    this.player = this.connection = this.microphone = this.recorder = null;
    this.captions = new Map(); // what a speech says, by its name
    this.begun = new Map(); // when the sound of an answer began, by its name
    this.isConversation = false;
    this.caption = make("p", { class: "caption", "aria-live": "polite" });
    this.canvas = make("canvas", { width: 512, height: 512, role: "img" });
    this.stage = make("div", { class: "stage" }, this.canvas, this.caption);
    this.note = make("p", { role: "status", class: "hint" });
    this.controls = make("div", { class: "card controls" });
    this.element = make("div", { class: "stage-card", hidden: true }, this.stage, this.controls);
    this.element.readReport = () => this.measurements.report; // for tests and benchmarks
    this.text = "";
    acceptDrops(this.element, (file) => this.speakFile(file));
    addEventListener("keydown", (event) => { if (event.key === "Escape") this.interrupt(); });
    document.addEventListener("fullscreenchange", () => this.show());
  }

  // Opens the sound within the click, then prepares the session and connects to it.
  async begin({ prepare, background, emotion }) {
    this.emotion = emotion;
    this.stage.style.setProperty("--backdrop", background === "portrait" ? "#000" : background);
    const player = new LivePlayer(this.canvas);
    try {
      await player.open();
      const session = await prepare();
      Object.assign(this.canvas, { width: session.width, height: session.height });
      this.connect(player, session.socket);
    } catch (error) {
      player.close();
      throw error;
    }
  }

  connect(player, path) {
    const connection = new LiveConnection(path, () => player.measureDelay());
    Object.assign(this, { player, connection, measurements: new Measurements(player, connection), isEnding: false });
    connection.addEventListener("media", ({ detail }) => player.push(detail));
    connection.addEventListener("output_audio_buffer.cleared", ({ detail }) => this.clear(detail.generation));
    connection.addEventListener("output_audio_buffer.started", ({ detail }) => this.startCaption(detail));
    connection.addEventListener("output_audio_buffer.stopped", ({ detail }) => this.stopCaption(detail));
    connection.addEventListener("conversation.created", () => { this.isConversation = true; });
    connection.addEventListener("conversation.item.input_audio_transcription.completed", ({ detail }) => this.showHeard(detail.transcript));
    connection.addEventListener("response.output_audio_transcript.delta", ({ detail }) => this.takeClause(detail));
    connection.addEventListener("error", ({ detail }) => this.say("live.refused", detail.error.message));
    connection.addEventListener("session.ended", ({ detail }) => { this.reason = detail.reason; });
    connection.addEventListener("closed", () => this.end(this.isEnding ? "" : "live.lost"));
    player.addEventListener("failed", () => this.end("live.broken"), { once: true });
    this.ticker = setInterval(() => this.showSummary(), SUMMARY_MS);
    this.element.hidden = false;
    this.note.textContent = "";
    this.onopen(true);
    this.show();
  }

  // Ends the session; `problem` is the key of a text if it did not end as wanted.
  end(problem = "") {
    if (!this.player) return;
    this.isEnding = true;
    clearInterval(this.ticker);
    this.closeMicrophone();
    this.recorder?.stop();
    this.connection.close();
    this.player.close();
    Object.assign(this, { player: null, connection: null, recorder: null, isConversation: false });
    this.captions.clear();
    this.begun.clear();
    this.caption.textContent = "";
    this.problem = problem;
    if (document.fullscreenElement) document.exitFullscreen();
    this.element.hidden = !problem;
    this.onopen(false);
    this.show();
  }

  show() {
    const focused = document.activeElement?.id;
    this.canvas.setAttribute("aria-label", say("live.face"));
    if (this.player) this.controls.replaceChildren(...this.makeControls());
    else this.controls.replaceChildren(this.problem ? make("p", { class: "problem", role: "alert" }, say(this.problem, { reason: this.reason ?? "" })) : "");
    this.stage.hidden = !this.player;
    if (focused?.startsWith("live-")) document.getElementById(focused)?.focus();
  }

  makeControls() {
    return [
      (this.answers || this.studio.voices.length > 0) && this.makeTextForm(),
      make("div", { class: "buttons" },
        makeFileButton(say("live.file"), ACCEPTED, (file) => this.speakFile(file)),
        navigator.mediaDevices && make("button", { type: "button", id: "live-microphone", "aria-pressed": String(Boolean(this.microphone)), onclick: () => this.toggleMicrophone() },
          say(this.microphone ? "live.microphone.off" : "live.microphone")),
        make("button", { type: "button", id: "live-interrupt", onclick: () => this.interrupt(), "aria-keyshortcuts": "Escape" }, say("live.interrupt"))),
      make("p", { class: "hint" }, say(this.microphone ? (this.answers ? "live.listens" : "live.repeats") : "live.drop")),
      this.makeEmotions(),
      make("div", { class: "buttons" },
        document.fullscreenEnabled && make("button", { type: "button", onclick: () => this.stage.requestFullscreen() }, say("live.fullscreen")),
        canRecord() && make("button", { type: "button", id: "live-record", "aria-pressed": String(Boolean(this.recorder)), onclick: () => this.toggleRecorder() },
          say(this.recorder ? "live.record.stop" : "live.record")),
        make("button", { type: "button", id: "live-end", onclick: () => this.end() }, say("live.end"))),
      this.note, this.makeSummary(),
    ].flat().filter(Boolean);
  }

  // Whether a language model answers what is said and typed.
  get answers() {
    return this.studio.live.converse === "auto";
  }

  makeTextForm() {
    const input = make("input", { type: "text", id: "live-text", maxlength: this.studio.limits.text_characters, required: true, value: this.text,
      autocomplete: "off", placeholder: say("live.text.hint"), oninput: () => { this.text = input.value; } });
    const send = (event) => {
      event.preventDefault();
      if (this.answers) this.connection.ask(input.value.trim());
      else this.speakText(input.value.trim());
      this.text = input.value = "";
    };
    return make("form", { class: "say", onsubmit: send },
      make("label", { for: "live-text" }, say(this.answers ? "live.question" : "live.text")), input,
      make("button", { class: "main" }, say(this.answers ? "live.ask" : "text.speak")));
  }

  makeEmotions() {
    const choose = (emotion) => { this.emotion = emotion; this.connection.changeEmotion(emotion); };
    return make("fieldset", { class: "emotions" }, make("legend", {}, say("live.emotion")),
      this.studio.live.emotions.map((emotion) => make("label", {},
        make("input", { type: "radio", name: "live-emotion", value: emotion, checked: this.emotion === emotion, onchange: () => choose(emotion) }),
        make("span", {}, say(`choice.emotion.${emotion}`)))));
  }

  makeSummary() {
    this.summary = make("p", { class: "hint measured" });
    this.showSummary();
    return this.summary;
  }

  showSummary() {
    if (!this.player) return;
    const { answer, skew, interrupt } = this.measurements.summary;
    const parts = [["live.measured.answer", answer], ["live.measured.skew", skew], ["live.measured.interrupt", interrupt]];
    this.summary.textContent = parts.filter(([, value]) => value !== null).map(([key, value]) => say(key, { ms: Math.round(value) })).join(say("semicolon"));
  }

  say(key, reason = "") {
    this.note.className = key ? "problem" : "hint";
    this.note.textContent = key ? say(key, { reason }) : "";
  }

  // What it says.

  speak(samples, text) {
    this.say("");
    this.closeMicrophone();
    const at = performance.now();
    const name = this.connection.speak(samples);
    this.measurements.noteSpeech(name, at);
    this.captions.set(name, text);
  }

  async speakFile(file) {
    if (!this.player) return;
    try {
      this.speak(await this.decode(await file.arrayBuffer()), file.name);
    } catch {
      this.say("live.no-sound");
    }
  }

  async speakText(text) {
    if (!text) return;
    this.note.className = "hint";
    this.note.textContent = say("live.thinking");
    try {
      const speech = await post("/api/speeches/text", { text, voice: "auto" });
      const response = await fetch(`/api/speeches/${speech.id}/sound`);
      const sound = await response.arrayBuffer();
      remove(`/api/speeches/${speech.id}`).catch(() => {});
      if (this.player) this.speak(await this.decode(sound), text);
    } catch (error) {
      this.say("live.refused", describeError(error));
    }
  }

  // One channel of float32 at the rate of the player.
  async decode(bytes) {
    const sound = await this.player.context.decodeAudioData(bytes);
    const mixed = new Float32Array(sound.length);
    for (let channel = 0; channel < sound.numberOfChannels; channel += 1) {
      sound.getChannelData(channel).forEach((value, index) => { mixed[index] += value / sound.numberOfChannels; });
    }
    return mixed;
  }

  interrupt() {
    if (!this.player) return;
    this.microphone?.finish();
    this.measurements.noteInterrupt();
    this.player.silence();
    this.connection.interrupt();
  }

  clear(generation) {
    this.player.clear(generation);
    this.begun.clear();
    this.caption.textContent = "";
  }

  async toggleMicrophone() {
    if (this.microphone) {
      this.closeMicrophone();
      return;
    }
    this.interrupt();
    this.microphone = new Microphone(this.player.context, this.connection, this.isConversation, (name) => this.captions.set(name, ""));
    this.say("");
    try {
      await this.microphone.open();
    } catch {
      this.closeMicrophone();
      this.say("speech.no-microphone");
    }
    this.show();
  }

  closeMicrophone() {
    this.microphone?.close();
    const wasOpen = this.microphone !== null;
    this.microphone = null;
    if (wasOpen && this.player) this.show();
  }

  toggleRecorder() {
    if (this.recorder) this.recorder.stop();
    this.recorder = this.recorder ? null : new StageRecorder(this.canvas, this.player);
    this.show();
  }

  // Captions follow what is heard.

  startCaption({ response_id: name, time }) {
    this.begun.set(name, time);
    if (this.captions.has(name)) this.captionAt(time, name, () => this.captions.get(name));
  }

  // A clause of an answer; its sound may have begun, or be about to.
  takeClause({ response_id: name, delta, audio_start_ms: start }) {
    const clause = delta.trim();
    if (!this.begun.has(name)) {
      if (!this.captions.has(name)) this.captions.set(name, clause);
      return;
    }
    this.captionAt(this.begun.get(name) + start / 1000, name, () => clause);
  }

  // Shows a text when `time` of the session is heard, if the speech has not ended by then.
  captionAt(time, name, readText) {
    const heard = this.player.heardTime ?? time;
    setTimeout(() => { if (this.begun.has(name)) this.caption.textContent = readText(); }, 1000 * Math.max(0, time - heard));
  }

  showHeard(transcript) {
    this.note.className = "hint";
    this.note.textContent = transcript ? say("live.heard", { text: transcript }) : "";
  }

  stopCaption({ response_id: name }) {
    if (this.begun.has(name) && this.begun.size === 1) this.caption.textContent = "";
    this.begun.delete(name);
    this.captions.delete(name);
  }
}
