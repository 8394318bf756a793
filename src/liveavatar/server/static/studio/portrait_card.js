// The portrait: dropped, chosen or taken; then its picture with marks where something was found.

import { make, makeFileButton, makeSvg } from "../lib/dom.js";
import { say } from "../lib/language.js";
import { makeFindings } from "./findings.js";
import { UploadCard } from "./upload_card.js";

const ACCEPTED = "image/*,.heic,.tif,.tiff,.bmp,.webp";

export class PortraitCard extends UploadCard {
  constructor(studio, onchange) {
    super("portrait", "/api/portraits", studio.limits.portrait_bytes, onchange);
    this.camera = null; // the stream while the camera is open
    this.note = "";
  }

  makeField() {
    if (this.camera) return [this.makeCamera()];
    return [make("div", { class: "field" },
      make("p", { class: "drop" }, say("portrait.drop")), make("p", { class: "hint" }, say("portrait.hint")),
      this.makeButtons("portrait.choose", "portrait.camera"),
      this.note && make("p", { class: "problem", role: "alert" }, say(this.note)))];
  }

  makeButtons(choose, camera) {
    return make("div", { class: "buttons" },
      makeFileButton(say(choose), ACCEPTED, (file) => this.send(file), { class: this.result ? "" : "main" }),
      navigator.mediaDevices && make("button", { type: "button", onclick: () => this.openCamera() }, say(camera)));
  }

  async openCamera() {
    this.note = "";
    try {
      this.camera = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "user", width: { ideal: 1280 } } });
      this.reset();
    } catch {
      this.note = "portrait.no-camera";
      if (this.result) this.reset(); else this.show();
    }
  }

  closeCamera() {
    this.camera?.getTracks().forEach((track) => track.stop());
    this.camera = null;
  }

  makeCamera() {
    const video = make("video", { autoplay: true, playsinline: true, muted: true, srcObject: this.camera });
    const snap = () => {
      const canvas = make("canvas", { width: video.videoWidth, height: video.videoHeight });
      canvas.getContext("2d").drawImage(video, 0, 0);
      this.closeCamera();
      canvas.toBlob((blob) => this.send(blob, "camera.jpg"), "image/jpeg", 0.95);
    };
    return make("div", { class: "camera" }, video, make("div", { class: "buttons" },
      make("button", { type: "button", class: "main", onclick: snap }, say("portrait.snap")),
      make("button", { type: "button", onclick: () => { this.closeCamera(); this.show(); } }, say("portrait.close"))));
  }

  makeResult() {
    const { id, check } = this.result;
    const picture = make("div", { class: "picture" },
      make("img", { src: `/api/portraits/${id}/picture`, alt: say("portrait.alt"), width: check.width, height: check.height }),
      makeMarks(check));
    return [
      make("div", { class: `shown${check.width > 1.1 * check.height ? " wide" : ""}` }, picture, make("div", { class: "verdict-side" },
        make("p", { class: `verdict ${check.level}` }, say(`portrait.level.${check.level}`)),
        makeFindings(check.findings, true))),
      this.makeButtons("portrait.other", this.file?.type === "image/jpeg" && this.result.name === "camera.jpg" ? "portrait.again" : "portrait.camera"),
    ];
  }
}

// The outline of the face, and a number for each finding that needs attention, at its place.
function makeMarks({ width, height, boxes, findings, level }) {
  const [left, top, wide, high] = boxes.face.map((share, number) => share * (number % 2 ? height : width));
  const unit = Math.max(width, height) / 100;
  const open = findings.filter((finding) => finding.level !== "ok");
  const x = Math.min(width - 5 * unit, left + wide + 8 * unit); // a column of marks beside the face
  const first = Math.max(5 * unit, Math.min(top + 4 * unit, height - (8 * open.length - 3) * unit));
  const marks = open.map((finding, number) => {
    const box = boxes[finding.place] ?? boxes.face;
    const y = first + 8 * unit * number;
    return makeSvg("g", { class: finding.level },
      makeSvg("line", { x1: x, y1: y, x2: (box[0] + box[2]) * width, y2: (box[1] + box[3] / 2) * height, "stroke-width": 0.5 * unit }),
      makeSvg("circle", { cx: x, cy: y, r: 3.2 * unit }),
      makeSvg("text", { x, y: y + 1.4 * unit, "font-size": 4 * unit, "text-anchor": "middle" }, String(number + 1)));
  });
  return makeSvg("svg", { viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" },
    makeSvg("rect", { class: `face ${level}`, x: left, y: top, width: wide, height: high, rx: 3 * unit, "stroke-width": 0.6 * unit }),
    marks);
}
