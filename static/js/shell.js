// The shell: navigation inside it, theme, side panel, drawer, menus, copying.

import { writeCookie } from "./cookies.js";

const YEAR_S = 31536000;
const NARROW = window.matchMedia("(max-width: 768px)");
const shell = document.getElementById("shell");
const drawer = document.getElementById("drawer");

// Go to one of our pages without loading the shell again.
export function visit(url) {
  htmx.ajax("GET", url, { target: "#main", select: "#main", swap: "outerHTML", push: "true" });
}

// --- theme: a cookie, so that the server draws the next page right from its first pixel
function setTheme(theme) {
  writeCookie("vigie_theme", theme, YEAR_S);
  if (theme === "system") document.documentElement.removeAttribute("data-bs-theme");
  else document.documentElement.dataset.bsTheme = theme;
  document.querySelectorAll("[data-theme]").forEach((each) => each.setAttribute("aria-pressed", String(each.dataset.theme === theme)));
}

// --- side panel on narrow screens
const toggle = document.querySelector("[data-side-toggle]");
function setSide(open) {
  if (open) shell.dataset.side = "open";
  else delete shell.dataset.side;
  toggle.setAttribute("aria-expanded", String(open));
  if (open) document.querySelector("#side [aria-selected=true]").focus();
}
toggle.addEventListener("click", () => setSide(shell.dataset.side !== "open"));
document.querySelector("[data-side-close]").addEventListener("click", () => setSide(false));
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && shell.dataset.side === "open") {
    setSide(false);
    toggle.focus();
  }
});

// --- drawer
const fold = document.querySelector("[data-drawer-toggle]");
function setDrawer(closed) {
  drawer.toggleAttribute("data-closed", closed);
  fold.setAttribute("aria-expanded", String(!closed));
}
export function toggleDrawer() {
  const closed = !drawer.hasAttribute("data-closed");
  setDrawer(closed);
  localStorage.setItem("vigie-drawer", closed ? "closed" : "open");
}
function showDrawer(tab) {
  for (const each of drawer.querySelectorAll("[role=tab]")) {
    each.setAttribute("aria-selected", String(each === tab));
    each.tabIndex = each === tab ? 0 : -1;
  }
  document.getElementById("drawer-body").setAttribute("aria-labelledby", tab.id);
  htmx.ajax("GET", tab.dataset.drawer, { target: "#drawer-body", swap: "innerHTML" });
}
fold.addEventListener("click", toggleDrawer);
for (const tab of drawer.querySelectorAll("[role=tab]")) tab.addEventListener("click", () => showDrawer(tab));
setDrawer((localStorage.getItem("vigie-drawer") ?? (NARROW.matches ? "closed" : "open")) === "closed");

// --- tabs and menus by arrow keys
document.addEventListener("keydown", (event) => {
  const list = event.target.closest?.("[role=tablist], .vg-menu");
  if (!list) return;
  const inMenu = list.matches(".vg-menu");
  const step = { [inMenu ? "ArrowDown" : "ArrowRight"]: 1, [inMenu ? "ArrowUp" : "ArrowLeft"]: -1 }[event.key];
  if (!step) return;
  const all = [...list.querySelectorAll(inMenu ? "a, button, input" : "[role=tab]")];
  const next = all[(all.indexOf(document.activeElement) + step + all.length) % all.length];
  event.preventDefault();
  next.focus();
  if (!inMenu) next.click();
});
document.addEventListener("toggle", (event) => {
  if (event.target.matches?.(".vg-menu") && event.newState === "open") event.target.querySelector("a, button, input")?.focus({ preventScroll: true });
}, true);

document.addEventListener("click", (event) => {
  const chosen = event.target.closest?.(".vg-menu a, .vg-menu button:not([aria-disabled])");
  if (chosen) chosen.closest(".vg-menu").hidePopover();
  const theme = event.target.closest?.("[data-theme]");
  if (theme) setTheme(theme.dataset.theme);
  const copy = event.target.closest?.("[data-copy]");
  if (copy) navigator.clipboard?.writeText(document.querySelector(copy.dataset.copy)?.textContent ?? copy.dataset.copy);
});

// --- after a page was put into the shell: mark where one is, start at its top, hand the focus over
function arrived() {
  for (const link of document.querySelectorAll("[data-nav]")) {
    if (link.pathname === location.pathname) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.querySelectorAll('form[action="/language"] [name=next]').forEach((field) => (field.value = location.pathname + location.search));
  setSide(false);
}
document.addEventListener("htmx:after:swap", (event) => {
  const { ctx } = event.detail;
  if (ctx?.target?.id !== "main" || ctx.swap?.startsWith?.("outerMorph")) return;
  arrived();
  document.getElementById("main").focus({ preventScroll: true });
  document.dispatchEvent(new CustomEvent("vigie:arrived"));
});

document.addEventListener("DOMContentLoaded", () => {
  showDrawer(drawer.querySelector("[aria-selected=true]"));
  document.querySelectorAll("[data-live-first]").forEach((each) => each.dispatchEvent(new CustomEvent("vigie:live")));
});
