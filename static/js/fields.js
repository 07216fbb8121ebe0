// A summary beside a form says what is still wrong (`data-field-errors`): its fields are marked while they are
// wrong, and a click on a sentence goes to its field, which may lie in a folded part.
//
// A field that only some kinds have (`data-kinds="netfs iscsi"`) is there for these alone: by the form's `kind`.
//
// A form that the server draws anew at each step (`data-steps`) is read when a step is sent, not when it was asked
// for: a step asked for during another would undo that one otherwise.

const MARK = "fieldWrong";

function mark(list) {
  const form = list.closest("form");
  const wrong = new Set([...list.querySelectorAll("[data-field]")].map((each) => each.dataset.field));
  for (const field of form.elements) {
    if (wrong.has(field.name) && field.value !== "") {
      field.dataset[MARK] = "";
      field.setAttribute("aria-invalid", "true");
    } else if (MARK in field.dataset) {
      delete field.dataset[MARK];
      field.removeAttribute("aria-invalid");
    }
  }
}

document.addEventListener("htmx:after:swap", () => {
  for (const form of document.querySelectorAll("form:has([data-field-checks])")) {
    const list = form.querySelector("[data-field-errors]");
    mark(list ?? form.querySelector("[data-field-checks]"));
  }
});

document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a[data-field]");
  const field = link && document.getElementById(link.hash.slice(1));
  if (!field) return;
  event.preventDefault();
  for (let at = field.parentElement; at; at = at.parentElement) if (at.localName === "details") at.open = true;
  field.focus();
});

function fit(form) {
  const kind = form.elements.kind.value;
  for (const field of form.querySelectorAll("[data-kinds]")) {
    field.disabled = !field.dataset.kinds.split(" ").includes(kind);
    field.closest(".vg-field").hidden = field.disabled;
  }
}

function fitAll() {
  for (const form of document.querySelectorAll("form:has([data-kinds])")) fit(form);
}

document.addEventListener("change", ({ target }) => {
  if (target.name === "kind" && target.form?.querySelector("[data-kinds]")) fit(target.form);
});
document.addEventListener("htmx:after:swap", fitAll);
fitAll();

document.addEventListener("htmx:before:request", ({ detail: { ctx } }) => {
  const form = ctx.sourceElement.closest("form[data-steps]");
  const asked = ctx.request.body;
  if (form !== ctx.target || !asked?.has("step")) return;
  const now = new URLSearchParams(new FormData(form));
  now.set("step", asked.get("step"));
  ctx.request.body = now;
});
