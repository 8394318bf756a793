// Before a live session: size, background, emotion, consent.

import { post } from "../lib/api.js";
import { make } from "../lib/dom.js";
import { currentLanguage, has, say } from "../lib/language.js";
import { translate } from "../studio/findings.js";

const BACKGROUNDS = ["portrait", "#00ff00", "#0000ff", "#ffffff", "#101316"];

export class SetupCard {
  constructor(studio, portrait, onsession) {
    Object.assign(this, { studio, portrait, onsession });
    this.values = { size: studio.live.sizes[0], background: BACKGROUNDS[0], emotion: studio.live.emotions[0] };
    this.consent = false;
    this.isBusy = false;
    this.error = null;
    this.element = make("section", { class: "card setup" });
  }

  show() {
    const consent = make("input", { type: "checkbox", id: "live-consent", checked: this.consent,
      onchange: () => { this.consent = consent.checked; this.showState(); } });
    this.button = make("button", { type: "button", class: "main", id: "live-start", onclick: () => this.start() }, say("live.start"));
    this.state = make("p", { role: "status" });
    this.element.replaceChildren(
      make("h2", {}, say("live.setup")),
      make("div", { class: "options" },
        this.makeChoice("size", this.studio.live.sizes, "size"),
        this.makeChoice("background", BACKGROUNDS, "background"),
        this.makeChoice("emotion", this.studio.live.emotions, "choice.emotion")),
      make("p", { class: "hint" }, say("live.background.hint")),
      make("label", { class: "consent", for: "live-consent" }, consent, make("span", {}, say("order.consent"))),
      make("div", { class: "go" }, this.button, this.state));
    this.showState();
  }

  makeChoice(name, choices, texts) {
    const select = make("select", { id: `live-${name}`, onchange: () => { this.values[name] = select.value; } },
      choices.map((choice) => make("option", { value: choice }, say(`${texts}.${choice}`))));
    select.value = this.values[name];
    return make("div", { class: "option" }, make("label", { for: select.id }, say(`live.${name}`)), select);
  }

  findNeed() {
    const portrait = this.portrait.result;
    if (!portrait) return "need.portrait";
    if (portrait.check.level === "bad") return "need.better";
    return this.consent ? null : "need.consent";
  }

  showState() {
    const need = this.findNeed();
    this.button.disabled = need !== null || this.isBusy;
    this.state.className = this.error ? "problem" : "hint";
    if (this.error) this.state.textContent = describeError(this.error);
    else this.state.textContent = this.isBusy ? say("live.preparing") : need ? say(need) : "";
  }

  async start() {
    Object.assign(this, { error: null, isBusy: true });
    this.showState();
    const order = { ...this.values, portrait: this.portrait.result.id, consent: this.consent, language: currentLanguage() };
    try {
      await this.onsession({ prepare: () => post("/api/live", order), ...this.values });
    } catch (error) {
      this.error = error;
    }
    this.isBusy = false;
    this.showState();
  }
}

export function describeError(error) {
  const key = `error.${error.code}`;
  if (has(key)) return say(key);
  return [error.problem ?? error.message, error.remedy].filter(Boolean).map(translate).join(" ");
}
