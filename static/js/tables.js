// Tables: selection of rows (shift selects a range), and which columns are shown (a cookie that the server reads).

import { writeCookie } from "./cookies.js";

const YEAR_S = 31536000;
let last = null;

function boxes(card) {
  return [...card.querySelectorAll("[data-check]")];
}

function cardOf(element) {
  return element.closest("section.card") ?? document.getElementById("main");
}

function update(card) {
  const all = boxes(card);
  const chosen = all.filter((box) => box.checked);
  for (const box of all) box.closest("tr").toggleAttribute("data-selected", box.checked);
  const bar = card.querySelector("[data-bulk]");
  if (bar) {
    bar.hidden = chosen.length === 0;
    bar.querySelector("[data-bulk-count]").textContent = chosen.length;
  }
  const head = card.querySelector("[data-check-all]");
  if (head) {
    head.checked = chosen.length > 0 && chosen.length === all.length;
    head.indeterminate = chosen.length > 0 && chosen.length < all.length;
  }
}

function setRange(card, from, to, checked) {
  const all = boxes(card);
  const [start, end] = [all.indexOf(from), all.indexOf(to)].sort((a, b) => a - b);
  if (start >= 0) all.slice(start, end + 1).forEach((box) => (box.checked = checked));
}

document.addEventListener("click", (event) => {
  const box = event.target.closest?.("[data-check]");
  if (box) {
    if (event.shiftKey && last?.isConnected) setRange(cardOf(box), last, box, box.checked);
    last = box;
    update(cardOf(box));
  } else if (event.target.closest?.("[data-bulk-clear]")) {
    const card = cardOf(event.target);
    boxes(card).forEach((each) => (each.checked = false));
    update(card);
  }
});

document.addEventListener("change", (event) => {
  const head = event.target.closest?.("[data-check-all]");
  if (head) {
    const card = cardOf(head);
    boxes(card).forEach((box) => (box.checked = head.checked));
    update(card);
  }
});

function showColumns(menu) {
  const keys = [...menu.querySelectorAll("input:checked")].map((input) => input.value);
  writeCookie(`vigie_columns_${menu.dataset.columns}`, keys.join("."), YEAR_S);
  const card = menu.closest("section[hx-get]");
  if (card) card.dispatchEvent(new CustomEvent("vigie:live"));
  else htmx.ajax("GET", location.pathname + location.search, { target: "#main", select: "#main", swap: "outerMorph" });
}

// The menu stands in the form of the filters, which must not hear it: its own request would be a second one, made
// before the choice is kept, and its answer could come last.
for (const type of ["input", "change"]) {
  const choose = (event) => {
    const menu = event.target.closest?.("[data-columns]");
    if (!menu) return;
    event.stopPropagation();
    if (type === "change") showColumns(menu);
  };
  document.addEventListener(type, choose, true);
}

// What was acted on is not selected any more, so that the next verb does not hit it by mistake.
document.addEventListener("htmx:after:request", (event) => {
  const { ctx } = event.detail;
  if (!ctx.sourceElement?.closest?.("[data-bulk]") || ctx.response.status >= 300) return;
  const card = cardOf(ctx.sourceElement);
  boxes(card).forEach((each) => (each.checked = false));
  update(card);
});

// A row that was renewed keeps its box; the marks and the bar follow.
document.addEventListener("htmx:after:swap", () => {
  document.querySelectorAll("[data-bulk]").forEach((bar) => update(cardOf(bar)));
});
