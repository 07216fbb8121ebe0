// Keys that work everywhere; the list of them is the dialog behind "?".
import { openPalette } from "./palette.js";
import { toggleDrawer, visit } from "./shell.js";

const PLACES = { o: "/", h: "/hosts", v: "/vms", s: "/storage", n: "/networks", t: "/tasks", e: "/events" };
const SEQUENCE_MS = 1200;
let pressedG = 0;

function shortcuts() {
  document.getElementById("shortcuts").showModal();
}

const KEYS = {
  "/": openPalette,
  "?": shortcuts,
  d: toggleDrawer,
  t: () => document.querySelector("#tree [role=tree]")?.focus(),
};

document.addEventListener("keydown", (event) => {
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
    event.preventDefault();
    openPalette();
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  if (event.target.closest("input, textarea, select, [contenteditable], [role=tree]")) return;
  if (Date.now() - pressedG < SEQUENCE_MS && PLACES[event.key]) {
    pressedG = 0;
    visit(PLACES[event.key]);
  } else if (event.key === "g") {
    pressedG = Date.now();
  } else if (KEYS[event.key]) {
    event.preventDefault();
    KEYS[event.key]();
  }
});

document.querySelectorAll("[data-shortcuts-open]").forEach((button) => button.addEventListener("click", shortcuts));
