// Videos in the making and ready ones, the newest first.

import { post, remove } from "../lib/api.js";
import { make } from "../lib/dom.js";
import { formatBytes, formatSeconds, say } from "../lib/language.js";
import { translate } from "./findings.js";

// Where each stage begins and ends on the bar.
const STAGES = { "": [0, 0.02], portrait: [0.02, 0.08], speech: [0.08, 0.15], frames: [0.15, 0.8], lips: [0.8, 1] };

export class VideoList {
  constructor() {
    this.rows = new Map(); // by id of the job
    this.title = make("h2");
    this.none = make("p", { class: "hint" });
    this.list = make("div", { class: "list" });
    this.element = make("section", { class: "videos", "aria-live": "polite" }, this.title, this.none, this.list);
  }

  show() {
    this.title.textContent = say("videos.title");
    this.none.textContent = say("videos.none");
    for (const row of this.rows.values()) row.show(true);
    this.none.hidden = this.rows.size > 0;
  }

  update(job) {
    let row = this.rows.get(job.id);
    if (!row) {
      row = new VideoRow(job, () => { this.rows.delete(job.id); row.element.remove(); this.show(); });
      this.rows.set(job.id, row);
      const next = [...this.rows.values()].filter(({ job: { created } }) => created < job.created)
        .sort((one, other) => other.job.created - one.job.created)[0];
      this.list.insertBefore(row.element, next?.element ?? null);
    }
    row.job = job;
    row.show();
    this.none.hidden = true;
  }

  reveal(job) {
    this.rows.get(job.id)?.element.scrollIntoView({ behavior: "smooth", block: "nearest" });
  }
}

class VideoRow {
  constructor(job, onremove) {
    Object.assign(this, { job, onremove });
    this.shown = "";
    this.element = make("article", { class: "card video", "data-job": job.id });
  }

  // Draws the row anew if its kind has changed; only the progress moves otherwise, so that a video plays on.
  show(force = false) {
    const { state, video } = this.job;
    const kind = `${state} ${Boolean(video)} ${Boolean(video?.lips)}`;
    if (kind !== this.shown || force) {
      this.shown = kind;
      this.draw();
    }
    this.showProgress();
  }

  draw() {
    const { state, names, video, error } = this.job;
    const isActive = state === "waiting" || state === "running";
    this.stage = make("p", { class: "stage", role: "status" });
    this.bar = make("progress", { max: 1 });
    const stop = make("button", { type: "button", onclick: () => post(`/api/jobs/${this.job.id}/cancel`).catch(() => {}) }, say("cancel"));
    const gone = make("button", { type: "button", onclick: () => this.remove() }, say("job.delete"));
    const side = make("div", { class: "side" },
      make("p", { class: "name" }, names.video.replace(/\.mp4$/, "")),
      video && make("p", { class: "hint" }, describeVideo(video)),
      video?.lips !== undefined && this.makeLips(video.lips),
      isActive && [this.stage, this.bar],
      state === "failed" && make("div", { class: "problem" }, make("p", {}, say("job.failed"), " ", translate(error.problem)),
        error.remedy && make("p", { class: "remedy" }, translate(error.remedy))),
      state === "cancelled" && make("p", { class: "hint" }, say("job.cancelled")),
      make("div", { class: "buttons" },
        video && make("a", { class: "button main", href: `/api/jobs/${this.job.id}/video?download=1`, download: names.video }, say("job.download")),
        isActive ? stop : gone));
    if (video && !this.player) this.player = makePlayer(this.job);
    if (this.player && !this.player.isConnected) this.element.prepend(this.player);
    if (this.side) this.side.replaceWith(side);
    else this.element.append(side);
    this.side = side;
    this.element.classList.toggle("with-player", Boolean(this.player));
  }

  makeLips(lips) {
    const offset = Math.max(1, Math.abs(Math.round(lips.offset ?? 0)));
    const level = lips.verdict === "in step" ? "ok" : lips.verdict === null || lips.verdict === "uncertain" ? "" : "warn";
    const picture = make("details", { class: "lips" }, make("summary", {}, say("lips.show")));
    picture.addEventListener("toggle", () => {
      if (picture.open && picture.children.length === 1) {
        const address = `/api/jobs/${this.job.id}/sync`;
        picture.append(make("a", { href: address, target: "_blank", rel: "noopener" }, make("img", { src: address, alt: say("lips.alt") })));
      }
    });
    return make("div", {}, make("p", { class: `verdict ${level}` }, say(`lips.${lips.verdict}`, { offset })), lips.verdict !== null && picture);
  }

  showProgress() {
    const { state, stage, share, ahead } = this.job;
    if (state === "waiting") {
      this.stage.textContent = ahead ? say("stage.waiting", { count: ahead }) : say("stage.next");
      this.bar.value = 0;
    } else if (state === "running") {
      const [begin, end] = STAGES[stage];
      this.bar.value = begin + (end - begin) * share;
      this.stage.textContent = [say(`stage.${stage}`), this.estimate()].filter(Boolean).join(say("comma"));
    }
  }

  // The time that is left, by the frames drawn so far.
  estimate() {
    const { stage, share } = this.job;
    if (stage !== "frames") return "";
    this.first ??= { share, at: performance.now() };
    const done = share - this.first.share;
    if (done < 0.05) return "";
    const seconds = ((performance.now() - this.first.at) / 1000) * ((1 - share) / done);
    return say("left", { time: formatSeconds(Math.max(1, Math.round(seconds))) });
  }

  remove() {
    remove(`/api/jobs/${this.job.id}`).then(this.onremove, this.onremove);
  }
}

function makePlayer(job) {
  const { width, height } = job.video;
  return make("video", { controls: true, playsinline: true, preload: "metadata", width, height, src: `/api/jobs/${job.id}/video` });
}

function describeVideo(video) {
  return [
    say("job.facts", { ...video, seconds: formatSeconds(video.seconds), size: formatBytes(video.bytes) }),
    say("job.speed", { time: formatSeconds(video.render_seconds) }),
  ].join(say("semicolon"));
}
