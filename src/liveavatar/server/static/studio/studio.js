// The studio: portrait, speech, options, videos.

import { watchJobs } from "../lib/api.js";
import { make } from "../lib/dom.js";
import { onLanguage, say } from "../lib/language.js";
import { OrderCard } from "./order_card.js";
import { PortraitCard } from "./portrait_card.js";
import { SpeechCard } from "./speech_card.js";
import { VideoList } from "./video_list.js";

export function mount(element, studio) {
  const portrait = new PortraitCard(studio, () => order.show());
  const speech = new SpeechCard(studio, () => order.show());
  const videos = new VideoList();
  const order = new OrderCard(studio, portrait, speech, (job) => { videos.update(job); videos.reveal(job); });
  const title = make("h1");
  const lead = make("p", { class: "lead" });
  const lost = make("p", { class: "lost", role: "status", hidden: true });
  element.classList.add("studio");
  element.append(
    make("div", { class: "head" }, title, lead), lost,
    make("div", { class: "inputs" }, portrait.element, speech.element), order.element, videos.element,
  );
  const show = () => {
    title.textContent = say("title");
    lead.textContent = say("lead");
    lost.textContent = say("lost");
    for (const card of [portrait, speech, order, videos]) card.show();
  };
  onLanguage(show);
  show();
  watchJobs((job) => videos.update(job), (isLost) => { lost.hidden = !isLost; });
}
