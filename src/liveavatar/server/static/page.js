// The frame of the page: session, language, theme, tabs. Each page is a module with `mount(element, studio)`.

import { ApiError, get, keepSession, openSession } from "./lib/api.js";
import { make } from "./lib/dom.js";
import { currentLanguage, onLanguage, say, setLanguage } from "./lib/language.js";

const THEMES = ["auto", "light", "dark"];
const main = document.getElementById("main");
let theme = localStorage.getItem("theme") ?? "auto";
let studio = null;

function showTheme() {
  document.documentElement.dataset.theme = theme;
  document.getElementById("theme").textContent = say(`theme.${theme}`);
}

function showFrame() {
  document.documentElement.lang = currentLanguage() === "zh" ? "zh-CN" : "en";
  document.title = `liveavatar: ${say("title")}`;
  document.getElementById("language").textContent = say("language.other");
  showTheme();
  showFooter();
  for (const tab of document.querySelectorAll("#tabs button")) tab.textContent = say(`page.${tab.dataset.page}`);
}

function showFooter() {
  if (!studio) return;
  const isLocal = ["localhost", "127.0.0.1", "[::1]"].includes(location.hostname);
  const where = say(isLocal ? "footer.local" : "footer.remote", { host: location.hostname });
  const link = make("a", { href: "/openapi.json" }, "OpenAPI");
  const [before, after] = say("footer.api", { link: "\n" }).split("\n");
  document.getElementById("footer").replaceChildren(
    make("p", {}, `${where} ${say("footer.keep", { hours: studio.keep_hours })} `, before, link, after),
  );
}

// Asks for the token of the server until it is right. One in the address (#token=…) is taken, and leaves it.
async function signIn() {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (given) history.replaceState(null, "", location.pathname);
  try {
    await openSession(given);
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 401) throw error;
    await askForToken();
  }
}

function askForToken() {
  return new Promise((resolve) => {
    const input = make("input", { type: "password", id: "token", autocomplete: "current-password", required: true });
    const problem = make("p", { class: "problem", role: "alert" });
    const send = async (event) => {
      event.preventDefault();
      try {
        await openSession(input.value);
        resolve();
      } catch (error) {
        problem.textContent = say(error.status === 401 ? "token.wrong" : "error.lost");
        input.select();
      }
    };
    const show = () => main.replaceChildren(make("form", { class: "card narrow", onsubmit: send },
      make("h1", {}, say("token.title")), make("p", {}, say("token.lead")),
      make("label", { for: "token" }, say("token.label")), input, problem,
      make("button", { class: "main" }, say("token.send"))));
    show();
    onLanguage(() => { if (!studio) show(); });
    input.focus();
  });
}

// One panel for each page of the server; tabs only if there are several.
async function mountPages(pages) {
  const tabs = document.getElementById("tabs");
  const panels = pages.map(({ name }) => make("section", { id: `page-${name}`, hidden: true }));
  const show = (name) => {
    panels.forEach((panel, number) => { panel.hidden = pages[number].name !== name; });
    for (const tab of tabs.children) tab.setAttribute("aria-selected", tab.dataset.page === name);
    location.hash = pages.length > 1 ? name : "";
  };
  main.replaceChildren(...panels);
  tabs.hidden = pages.length < 2;
  tabs.replaceChildren(...pages.map(({ name }) => make(
    "button", { type: "button", role: "tab", "data-page": name, "aria-controls": `page-${name}`, onclick: () => show(name) },
  )));
  for (const [number, { module }] of pages.entries()) (await import(module)).mount(panels[number], studio);
  const wanted = location.hash.slice(1);
  show(pages.some(({ name }) => name === wanted) ? wanted : pages[0].name);
}

document.getElementById("language").onclick = () => setLanguage(currentLanguage() === "zh" ? "en" : "zh");
document.getElementById("theme").onclick = () => {
  theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
  localStorage.setItem("theme", theme);
  showTheme();
};
// A file that misses its field must not replace the page.
for (const kind of ["dragover", "drop"]) addEventListener(kind, (event) => event.preventDefault());

onLanguage(showFrame);
showFrame();
await signIn();
keepSession();
studio = await get("/api/studio");
await mountPages(studio.pages);
showFrame();
