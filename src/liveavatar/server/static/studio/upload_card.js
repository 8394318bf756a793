// What the cards of portrait and speech share: a field for a file, its way to the server, its check, its errors.

import { ApiError, remove, upload } from "../lib/api.js";
import { acceptDrops, make } from "../lib/dom.js";
import { formatBytes, has, say } from "../lib/language.js";
import { translate } from "./findings.js";

export class UploadCard {
  constructor(kind, path, limit, onchange) {
    Object.assign(this, { kind, path, limit, onchange });
    this.result = null; // what the server knows of the file
    this.file = null;
    this.error = null;
    this.sending = null; // { share, abort } while a file is on its way
    this.body = make("div", { class: "body" });
    this.title = make("h2");
    this.element = make("section", { class: `card ${kind}` }, this.title, this.body);
    acceptDrops(this.element, (file) => this.send(file));
  }

  async send(file, name = file.name) {
    this.sending?.abort();
    this.forget();
    this.error = null;
    this.file = file;
    if (file.size > this.limit) {
      this.error = new ApiError(413, { code: "too-large" });
      this.show();
      return;
    }
    const sending = { share: 0 };
    const { done, abort } = upload(this.path, file, name, (share) => { sending.share = share; this.showSending(); });
    await this.follow(Object.assign(sending, { abort }), done);
  }

  // Shows that something is on its way until its check is there.
  async follow(sending, done) {
    this.sending = sending;
    this.show();
    try {
      const result = await done;
      if (this.sending === sending) this.result = result;
    } catch (error) {
      if (this.sending === sending && error.code !== "stopped") this.error = error;
    }
    if (this.sending !== sending) return;
    this.sending = null;
    this.show();
    this.onchange();
  }

  // Removes the file here and on the server.
  forget() {
    if (this.result) remove(`${this.path}/${this.result.id}`).catch(() => {});
    this.result = null;
    this.onchange();
  }

  reset() {
    this.sending?.abort();
    this.sending = null;
    this.error = null;
    this.file = null;
    this.forget();
    this.show();
  }

  show() {
    this.title.textContent = say(`${this.kind}.title`);
    if (this.sending) this.body.replaceChildren(this.makeSending());
    else if (this.result) this.body.replaceChildren(...this.makeResult());
    else this.body.replaceChildren(...this.makeField(), ...this.makeError());
    this.showSending();
  }

  makeSending() {
    this.progress = make("progress", { max: 1 });
    this.status = make("p", { role: "status" });
    const cancel = make("button", { type: "button", onclick: () => this.reset() }, say("cancel"));
    return make("div", { class: "sending" }, this.status, this.progress, cancel);
  }

  showSending() {
    if (!this.sending) return;
    const { share } = this.sending;
    if (share < 1) this.progress.value = share;
    else this.progress.removeAttribute("value");
    this.status.textContent = share < 1 ? say("sending", { share: Math.round(100 * share) }) : say("checking");
  }

  makeError() {
    if (!this.error) return [];
    const { code } = this.error;
    const isOurs = has(`error.${code}`);
    const values = { limit: formatBytes(this.limit) };
    const problem = isOurs ? say(`error.${code}`) : translate(this.error.problem);
    const remedy = has(`error.${code}.remedy`) ? say(`error.${code}.remedy`, values) : translate(this.error.remedy);
    return [make("div", { class: "problem", role: "alert" }, make("p", {}, problem), remedy && make("p", { class: "remedy" }, remedy))];
  }
}
