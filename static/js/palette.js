// The palette (Ctrl K): what is typed is searched on the server; arrows choose, Enter opens. Enter is a click on
// what is chosen, so that questions.js asks first where an act loses something.
import { fetchPart } from "./fetch_part.js";
import { toast } from "./toasts.js";
import { visit } from "./shell.js";

const WAIT_MS = 80;
const dialog = document.getElementById("palette");
const input = document.getElementById("palette-input");
const results = document.getElementById("palette-results");
let timer = 0;
let asked = 0;
let answered = ""; // the text that the results are of
let isEntered = false; // Enter came before the answer

export function openPalette() {
  if (dialog.open) return;
  dialog.showModal();
  input.select();
  input.focus();
  if (!input.value) search("");
}

async function search(text) {
  const number = ++asked;
  const answer = await fetchPart(`/search?q=${encodeURIComponent(text)}`).catch(() => null);
  if (number !== asked) return; // a newer question is under way
  if (!answer?.ok) return;
  const made = document.createElement("template");
  made.innerHTML = await answer.text(); // our own server's template, escaped there
  if (number !== asked) return;
  results.replaceChildren(made.content);
  answered = text;
  results.setAttribute("aria-busy", String(input.value.trim() !== text)); // more may have been typed since
  const first = options()[0];
  mark(first);
  // Nobody has seen this answer yet, so it may lead somewhere but not act.
  if (isEntered && dialog.open && first?.dataset.method === "GET") first.click();
  isEntered = false;
}

function options() {
  return [...results.querySelectorAll("[role=option][data-url]")];
}

function mark(option) {
  for (const each of options()) each.setAttribute("aria-selected", String(each === option));
  if (option) {
    input.setAttribute("aria-activedescendant", option.id);
    option.scrollIntoView({ block: "nearest" });
  } else {
    input.removeAttribute("aria-activedescendant");
  }
}

function move(step) {
  const all = options();
  const now = all.findIndex((each) => each.getAttribute("aria-selected") === "true");
  if (all.length) mark(all[(now + step + all.length) % all.length]);
}

async function open(option) {
  dialog.close();
  if (option.dataset.method === "GET") return visit(option.dataset.url);
  const answer = await fetchPart(option.dataset.url, { method: option.dataset.method }).catch(() => null);
  const told = answer?.headers.get("HX-Trigger");
  if (told) toast(JSON.parse(told)["vigie:toast"]);
}

input.addEventListener("input", () => {
  clearTimeout(timer);
  isEntered = false;
  results.setAttribute("aria-busy", "true");
  timer = setTimeout(() => search(input.value.trim()), WAIT_MS);
});
input.addEventListener("keydown", (event) => {
  if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    event.preventDefault();
    move(event.key === "ArrowDown" ? 1 : -1);
  } else if (event.key === "Enter") {
    event.preventDefault();
    isEntered = input.value.trim() !== answered; // then what is shown answers an earlier text
    if (!isEntered) results.querySelector('[aria-selected="true"][data-url]')?.click();
  }
});
results.addEventListener("click", (event) => {
  const option = event.target.closest("[data-url]");
  if (option) open(option);
});
dialog.addEventListener("click", (event) => {
  if (event.target === dialog) dialog.close(); // the backdrop
});
document.querySelectorAll("[data-palette-open]").forEach((button) => button.addEventListener("click", openPalette));
