// Messages in the corner. They come with an answer (header HX-Trigger: vigie:toast), with the next page (cookie),
// or from here, when Vigie does not answer at all.

import { readCookie, writeCookie } from "./cookies.js";

const SHOWN_MS = 6000;
const texts = document.getElementById("script-texts").dataset;
const corner = document.getElementById("toasts");

export function toast({ tone, title, text }) {
  const box = document.createElement("div");
  box.className = "vg-toast";
  box.dataset.tone = tone;
  const said = document.createElement("div");
  const strong = document.createElement("strong");
  strong.textContent = title;
  said.append(strong, text || "");
  const close = document.createElement("button");
  close.type = "button";
  close.className = "btn btn-sm btn-ghost vg-icon-only";
  close.setAttribute("aria-label", texts.dismiss);
  close.textContent = "×";
  close.addEventListener("click", () => box.remove());
  box.append(said, close);
  corner.append(box);
  if (tone === "bad") return; // errors stay until they are read
  let timer = setTimeout(() => box.remove(), SHOWN_MS);
  box.addEventListener("pointerenter", () => clearTimeout(timer));
  box.addEventListener("pointerleave", () => (timer = setTimeout(() => box.remove(), SHOWN_MS)));
}

function isByItself(element) {
  return element?.hasAttribute?.("data-live") || element?.hasAttribute?.("data-live-batch") || /every /.test(element?.getAttribute?.("hx-trigger") ?? "");
}

function ofHeader(header) {
  try {
    return JSON.parse(header)["vigie:toast"];
  } catch {
    return undefined; // another event, by its bare name
  }
}

document.addEventListener("htmx:after:request", (event) => {
  const { ctx } = event.detail;
  const told = ctx.hx?.trigger && ofHeader(ctx.hx.trigger);
  if (told) {
    if (!isByItself(ctx.sourceElement)) toast(told);
  } else if (ctx.response.status >= 500 && !ctx.response.headers.has("Vigie-Page")) {
    event.preventDefault(); // not drawn by us: a proxy's page has no place in ours
    if (!isByItself(ctx.sourceElement)) toast({ tone: "bad", title: texts.offlineTitle, text: texts.offlineText });
  }
});

document.addEventListener("htmx:error", (event) => {
  const { ctx } = event.detail;
  if (ctx?.response || isByItself(ctx?.sourceElement)) return;
  toast({ tone: "bad", title: texts.offlineTitle, text: texts.offlineText });
});

const carried = readCookie("vigie_toast");
if (carried) {
  writeCookie("vigie_toast", "", 0);
  try {
    toast(JSON.parse(decodeURIComponent(carried.replaceAll('"', ""))));
  } catch {
    // not ours: shows nothing
  }
}
