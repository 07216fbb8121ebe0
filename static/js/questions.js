// Acts that lose something are asked about first. A button with data-ask="#id" opens the dialog with the
// content of that <template>; its fields go with the request when the answer is yes. Buttons of htmx send on
// vigie:granted instead of a click, so that nothing is sent unasked when this script could not be loaded.

const dialog = document.getElementById("question");
const body = document.getElementById("question-body");
const typed = document.getElementById("question-type");
const name = document.getElementById("question-name");
const yes = document.getElementById("question-yes");
let asking = null; // the button that was pressed
let granted = null; // the button that may go on now, with the dialog's fields

const NAMED = 10;

// Before bulk work: how many rows are selected, and the names of the first.
function nameChosen(button) {
  const list = body.querySelector("[data-chosen-names]");
  if (!list) return;
  const rows = [...button.closest("section").querySelectorAll("[data-check]:checked")].map((box) => box.closest("tr"));
  body.querySelector("[data-chosen-count]").textContent = rows.length;
  const names = rows.slice(0, NAMED).map((row) => row.querySelector(".vg-name").textContent);
  if (rows.length > NAMED) names.push("…");
  for (const each of names) list.append(Object.assign(document.createElement("li"), { textContent: each }));
}

function ask(button, template) {
  asking = button;
  document.getElementById("question-title").textContent = template.dataset.title;
  body.replaceChildren(template.content.cloneNode(true));
  nameChosen(button);
  yes.textContent = template.dataset.yes;
  yes.className = "danger" in template.dataset ? "btn btn-danger" : "btn btn-primary";
  const wanted = template.dataset.typeName;
  typed.hidden = wanted === undefined;
  typed.querySelector("b").textContent = wanted ?? "";
  name.value = "";
  name.dataset.wanted = wanted ?? "";
  yes.disabled = wanted !== undefined;
  dialog.returnValue = "no";
  dialog.showModal();
  (wanted === undefined ? dialog.querySelector("button[value=no]") : name).focus();
}

name.addEventListener("input", () => (yes.disabled = name.value !== name.dataset.wanted));

// In the capture phase, so that nothing else hears of the click before the answer.
document.addEventListener(
  "click",
  (event) => {
    const button = event.target.closest?.("[data-ask]");
    if (!button || button === granted) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    const template = document.querySelector(button.dataset.ask);
    if (template) ask(button, template);
  },
  true,
);

dialog.addEventListener("close", () => {
  const button = asking?.isConnected ? asking : null;
  asking = null;
  if (dialog.returnValue !== "yes" || !button) return;
  granted = button;
  if (button.hasAttribute("hx-trigger")) button.dispatchEvent(new CustomEvent("vigie:granted"));
  else button.click();
  granted = null;
});

document.addEventListener("htmx:config:request", (event) => {
  const { ctx } = event.detail;
  if (!granted || ctx.sourceElement !== granted) return;
  for (const [key, value] of new FormData(dialog.querySelector("form"))) ctx.request.body.append(key, value);
});
