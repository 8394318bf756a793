// The language of the page. `say("key", { name: value })` gives a text; `onLanguage` calls back when it changes.

import { TEXTS } from "./texts.js";

const listeners = [];
let language = readLanguage();

function readLanguage() {
  const stored = localStorage.getItem("language");
  if (stored in TEXTS) return stored;
  return navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en";
}

export const currentLanguage = () => language;

export function setLanguage(name) {
  language = name;
  localStorage.setItem("language", name);
  for (const listener of listeners) listener();
}

export const onLanguage = (listener) => listeners.push(listener);

export function say(key, values = {}) {
  const text = TEXTS[language][key] ?? TEXTS.en[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
}

export const has = (key) => key in TEXTS.en;

export function sayCount(key, count) {
  return say(count === 1 && has(`${key}.one`) ? `${key}.one` : key, { count });
}

export function formatSeconds(seconds) {
  const whole = Math.round(seconds);
  return whole < 60 ? say("seconds", { count: seconds < 10 && !Number.isInteger(seconds) ? seconds.toFixed(1) : whole })
    : say("minutes", { minutes: Math.floor(whole / 60), seconds: String(whole % 60).padStart(2, "0") });
}

export const formatBytes = (bytes) => `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;
