// Findings of the checks as lists. The server speaks English; `translate` knows its sentences in Chinese.

import { make } from "../lib/dom.js";
import { currentLanguage, sayCount } from "../lib/language.js";
import { CHINESE } from "./findings_zh.js";

const PATTERNS = CHINESE.map(([english, chinese]) => [new RegExp(`^${english}$`), chinese]);

export function translate(text) {
  if (!text) return "";
  if (currentLanguage() !== "zh") return capitalise(text.replace(/ \(--[^)]*\)/, "")); // flags are for the command line
  for (const [pattern, chinese] of PATTERNS) if (pattern.test(text)) return text.replace(pattern, chinese);
  return text;
}

const capitalise = (text) => text[0].toUpperCase() + text.slice(1);

// What needs attention, numbered from 1 if `numbered`; the rest folded away.
export function makeFindings(findings, numbered = false) {
  const open = findings.filter(({ level }) => level !== "ok");
  const passed = findings.filter(({ level }) => level === "ok");
  const list = make("ol", { class: "findings" }, open.map(({ level, sentence, remedy }, number) => make(
    "li", { class: level },
    make("span", { class: "mark", "aria-hidden": "true" }, numbered ? String(number + 1) : "!"),
    make("span", {}, translate(sentence), remedy && !remedy.startsWith("liveavatar ") && make("span", { class: "remedy" }, translate(remedy))),
  )));
  const details = make("details", { class: "passed" },
    make("summary", {}, sayCount("checks.passed", passed.length)),
    make("ul", {}, passed.map(({ sentence }) => make("li", {}, translate(sentence)))));
  return [open.length ? list : null, passed.length ? details : null];
}
