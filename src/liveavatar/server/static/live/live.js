// The live page: a portrait that is alive, and says what it is given.

import { PortraitCard } from "../studio/portrait_card.js";
import { get } from "../lib/api.js";
import { make } from "../lib/dom.js";
import { onLanguage, say } from "../lib/language.js";
import { canPlay } from "./player.js";
import { SetupCard } from "./setup_card.js";
import { StageCard } from "./stage_card.js";

export async function mount(element, { limits, voices }) {
  const studio = { limits, voices, live: await get("/api/live") };
  const title = make("h1");
  const lead = make("p", { class: "lead" });
  const head = make("div", { class: "head" }, title, lead);
  element.classList.add("live");
  const missing = make("p", { class: "lost", role: "status" });
  const portrait = new PortraitCard(studio, () => setup.show());
  const setup = new SetupCard(studio, portrait, (session) => stage.begin(session));
  const inputs = make("div", { class: "inputs" }, portrait.element, setup.element);
  const stage = new StageCard(studio, (isOpen) => { inputs.hidden = isOpen; head.hidden = isOpen; setup.show(); });
  element.append(head, ...(canPlay() ? [inputs, stage.element] : [missing]));
  const show = () => {
    title.textContent = say("live.title");
    lead.textContent = say("live.lead");
    missing.textContent = say(isSecureContext ? "live.no-codecs" : "live.no-https");
    for (const card of [portrait, setup, stage]) card.show();
  };
  onLanguage(show);
  show();
}
