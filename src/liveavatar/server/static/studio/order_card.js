// Size, options and consent; the form is built from what the engine says of its options.

import { post } from "../lib/api.js";
import { make } from "../lib/dom.js";
import { currentLanguage, has, say } from "../lib/language.js";
import { translate } from "./findings.js";

const QUALITIES = ["draft", "good", "best"];
const RATES = ["16", "24", "25", "30", "50", "60"];
const FIRST = ["motion", "emotion"]; // options that are not folded away

export class OrderCard {
  constructor(studio, portrait, speech, onjob) {
    Object.assign(this, { studio, portrait, speech, onjob });
    this.values = { engine: studio.engines[0].name, size: "auto", quality: "good", fps: "25", seed: 0, options: {} };
    this.consent = false;
    this.isOpen = false;
    this.error = null;
    this.element = make("section", { class: "card order" });
  }

  show() {
    const engine = this.studio.engines.find(({ name }) => name === this.values.engine);
    const first = engine.options.filter(({ name }) => FIRST.includes(name));
    const rest = engine.options.filter(({ name }) => !FIRST.includes(name));
    const more = make("details", { class: "more", ontoggle: () => { this.isOpen = more.open; } },
      make("summary", {}, say("order.more")),
      make("div", { class: "options" }, rest.map((option) => this.makeOption(option)),
        this.makeChoice("quality", say("order.quality"), QUALITIES, (name) => say(`quality.${name}`)),
        this.makeChoice("fps", say("order.fps"), RATES, (name) => name), this.makeSeed()));
    more.open = this.isOpen;
    const consent = make("input", { type: "checkbox", id: "consent", checked: this.consent,
      onchange: () => { this.consent = consent.checked; this.showState(); } });
    this.button = make("button", { type: "button", class: "main", id: "make", onclick: () => this.send() }, say("order.make"));
    this.state = make("p", { class: "hint", role: "status" });
    this.element.replaceChildren(
      make("h2", {}, say("order.title")),
      make("div", { class: "options" },
        this.studio.engines.length > 1 && this.makeChoice("engine", say("order.engine"), this.studio.engines.map(({ name }) => name), (name) => name, () => { this.values.options = {}; this.show(); }),
        this.makeChoice("size", say("order.size"), this.studio.sizes, (name) => this.describeSize(name)),
        first.map((option) => this.makeOption(option))),
      more,
      make("label", { class: "consent", for: "consent" }, consent, make("span", {}, say("order.consent"))),
      make("div", { class: "go" }, this.button, this.state, make("p", { class: "hint marks" }, say("order.marks"))));
    this.showState();
  }

  describeSize(name) {
    const check = this.portrait.result?.check;
    return name === "auto" && check ? say("size.auto.known", check) : say(`size.${name}`);
  }

  makeChoice(name, label, choices, describe, onchange = () => {}) {
    const select = make("select", { id: `order-${name}`, onchange: () => { this.values[name] = select.value; onchange(); } },
      choices.map((choice) => make("option", { value: choice }, describe(choice))));
    select.value = this.values[name];
    return make("div", { class: "option" }, make("label", { for: select.id }, label), select);
  }

  makeSeed() {
    const input = make("input", { type: "number", id: "order-seed", min: 0, step: 1, value: this.values.seed,
      onchange: () => { this.values.seed = Math.max(0, Math.trunc(Number(input.value) || 0)); input.value = this.values.seed; } });
    return make("div", { class: "option" }, make("label", { for: input.id }, say("order.seed")), input);
  }

  makeOption(option) {
    const id = `option-${option.name}`;
    const label = has(id.replace("-", ".")) ? say(id.replace("-", ".")) : option.name;
    const value = this.values.options[option.name] ?? option.default;
    const control = option.choices ? this.makeOptionChoice(option, id, value) : this.makeSlider(option, id, value);
    return make("div", { class: "option", title: currentLanguage() === "en" ? option.help : undefined },
      make("label", { for: id }, label), control);
  }

  makeOptionChoice({ name, choices }, id, value) {
    const select = make("select", { id, onchange: () => { this.values.options[name] = select.value; } },
      choices.map((choice) => {
        const key = `choice.${name}.${choice}`;
        return make("option", { value: choice }, has(key) ? say(key) : choice);
      }));
    select.value = value;
    return select;
  }

  makeSlider({ name, range: [least, most] }, id, value) {
    const output = make("output", { for: id }, Number(value).toFixed(1));
    const slider = make("input", { type: "range", id, min: least, max: most, step: 0.1, value,
      oninput: () => { this.values.options[name] = Number(slider.value); output.textContent = Number(slider.value).toFixed(1); } });
    return make("span", { class: "slider" }, slider, output);
  }

  findNeed() {
    const [portrait, speech] = [this.portrait.result, this.speech.result];
    if (!portrait && !speech) return "need.both";
    if (!portrait) return "need.portrait";
    if (portrait.check.level === "bad") return "need.better";
    if (!speech) return "need.speech";
    return this.consent ? null : "need.consent";
  }

  showState() {
    const need = this.findNeed();
    this.button.disabled = need !== null;
    this.state.className = this.error ? "problem" : "hint";
    this.state.textContent = this.error ? `${translate(this.error.problem)} ${translate(this.error.remedy)}` : need ? say(need) : "";
  }

  async send() {
    this.error = null;
    this.button.disabled = true;
    try {
      this.onjob(await post("/api/jobs", {
        ...this.values, portrait: this.portrait.result.id, speech: this.speech.result.id,
        consent: this.consent, language: currentLanguage(),
      }));
    } catch (error) {
      this.error = error;
    }
    this.showState();
  }
}
