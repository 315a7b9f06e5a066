/** The shell: which view an address shows, the navigation, light and dark. */

import { ApiError } from "./api.js";
import { announce, busy, h, problemBox, replace } from "./dom.js";

// An address is "#" + path + "?" + query. Each view module exports
// `async function show(main, params, signal)`: it fills `main`, with one h1, and stops what it
// started when `signal` is aborted. `params` holds the parts of the path and the query.
const ROUTES = [
  { pattern: /^\/$/, part: "runs", view: "runs" },
  { pattern: /^\/experiments\/(?<id>[^/]+)$/, part: "runs", view: "run", fixed: { kind: "experiment" } },
  { pattern: /^\/audits\/(?<id>[^/]+)$/, part: "runs", view: "run", fixed: { kind: "audit" } },
  { pattern: /^\/submit$/, part: "submit", view: "submit", fixed: { kind: "experiment" } },
  { pattern: /^\/submit\/audit$/, part: "submit", view: "submit", fixed: { kind: "audit" } },
  { pattern: /^\/tasks$/, part: "tasks", view: "tasks" },
  { pattern: /^\/tasks\/(?<name>[^/]+)$/, part: "tasks", view: "tasks" },
  { pattern: /^\/compare$/, part: "compare", view: "compare" },
];

const main = document.getElementById("main");
let leaving = new AbortController();
let shown = null;

/**
 * The route of an address and what it says.
 *
 * @param {string} hash such as "#/compare?first=…"
 * @returns {{route: ?Object, params: Object<string, string>}}
 */
export function routeOf(hash) {
  const [path, query = ""] = (hash.replace(/^#/, "") || "/").split("?", 2);
  for (const route of ROUTES) {
    const found = route.pattern.exec(path);
    if (!found) continue;
    const parts = Object.entries(found.groups ?? {}).map(([name, text]) => [name, decoded(text)]);
    const asked = Object.fromEntries(new URLSearchParams(query));
    return { route, params: { ...asked, ...Object.fromEntries(parts), ...route.fixed } };
  }
  return { route: null, params: {} };
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

async function navigate() {
  const { route, params } = routeOf(location.hash);
  leaving.abort();
  leaving = new AbortController();
  const { signal } = leaving;
  mark(route?.part);
  replace(main, busy());
  try {
    if (route) {
      const view = await import(`./views/${route.view}.js`);
      if (!signal.aborted) await view.show(main, params, signal);
    } else replace(main, unknown());
  } catch (error) {
    if (signal.aborted) return;
    if (!(error instanceof ApiError)) console.error(error);
    replace(main, failed(error));
  }
  if (!signal.aborted) arrived();
}

function mark(part) {
  for (const link of document.querySelectorAll("nav [data-part]")) {
    if (link.dataset.part === part) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

function arrived() {
  const heading = main.querySelector("h1");
  const title = heading?.textContent ?? "ForgetScope";
  document.title = heading ? `${title} · ForgetScope` : title;
  if (shown !== null && shown !== location.hash && heading) {
    heading.tabIndex = -1;
    heading.focus({ preventScroll: true });
    scrollTo(0, 0);
    announce(title);
  }
  shown = location.hash;
}

function unknown() {
  return [
    h("h1", {}, "There is no such page"),
    h("p", {}, "The address may be old or mistyped. Everything is reached from the ", listLink(), "."),
  ];
}

function failed(error) {
  const again = () => navigate();
  const missing = error.problem?.status === 404 || error.problem?.status === 422;
  return [
    h("h1", {}, missing ? "This was not found" : "This could not be shown"),
    problemBox(error),
    h(
      "p",
      { class: "actions" },
      h("button", { type: "button", class: "button", onclick: again }, "Try again"),
      listLink(),
    ),
  ];
}

function listLink() {
  return h("a", { href: "#/" }, "list of runs");
}

// Light, dark, or as the system has it; remembered in this browser.

const THEMES = {
  "": ["◐", "Colours as the system has them"],
  light: ["☀", "Light colours"],
  dark: ["☾", "Dark colours"],
};

function dress() {
  const button = document.getElementById("theme");
  const paint = () => {
    const [symbol, said] = THEMES[document.documentElement.dataset.theme ?? ""] ?? THEMES[""];
    button.textContent = symbol;
    button.title = `${said}; press to change`;
    button.setAttribute("aria-label", `${said}; press to change`);
  };
  button.addEventListener("click", () => {
    const names = Object.keys(THEMES);
    const now = names.indexOf(document.documentElement.dataset.theme ?? "");
    const next = names[(now + 1) % names.length];
    if (next) document.documentElement.dataset.theme = next;
    else delete document.documentElement.dataset.theme;
    try {
      localStorage.setItem("forgetscope.theme", next);
    } catch {
      // It holds for this page then.
    }
    paint();
    announce(THEMES[next][1]);
  });
  paint();
}

document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault(); // the address belongs to the views
  main.focus();
});
addEventListener("hashchange", navigate);
dress();
navigate();
