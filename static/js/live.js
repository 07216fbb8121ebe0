// Live updates. The server says which topics changed (ids, or words such as "tasks"); what shows them is read
// again by an ordinary GET of its own. Elements: data-live="topic topic", hx-get, hx-trigger="vigie:live".
// Rows inside [data-live-batch="/url"] are read together, in one GET with ?ids=a,b.

import { fetchPart } from "./fetch_part.js";

const RETRY_MS = [500, 1000, 2000, 5000];
const MAX_IDS = 200;
const listeners = new Set();
let source = null;
let failures = 0;
let missed = false; // something changed while the page was hidden
let everConnected = false;

// Call `listener(topics)` with each Set of changed topics, or with null when everything must be read again.
export function onChange(listener) {
  listeners.add(listener);
}

function tell(topics) {
  if (document.hidden) {
    missed = true;
    return;
  }
  for (const listener of listeners) listener(topics);
  refresh(topics);
}

function refresh(topics) {
  const batches = new Map();
  for (const element of document.querySelectorAll("[data-live]")) {
    const wanted = element.dataset.live.split(" ");
    if (topics && !wanted.some((topic) => topics.has(topic))) continue;
    const batch = element.closest("[data-live-batch]");
    if (batch && batch !== element) {
      if (!batches.has(batch)) batches.set(batch, []);
      batches.get(batch).push(element.dataset.live);
    } else if (element.hasAttribute("hx-get")) {
      element.dispatchEvent(new CustomEvent("vigie:live"));
    }
  }
  for (const [batch, ids] of batches) {
    for (let start = 0; start < ids.length; start += MAX_IDS) readRows(batch, ids.slice(start, start + MAX_IDS));
  }
}

function readRows(batch, ids) {
  const url = new URL(batch.dataset.liveBatch, location.href);
  url.searchParams.set("ids", ids.join(","));
  htmx.ajax("GET", url.pathname + url.search, { source: batch, target: batch, swap: "none" });
}

function show(state) {
  const drawer = document.getElementById("drawer");
  const label = document.getElementById("link-state");
  if (!drawer || !label) return;
  drawer.dataset.link = state;
  label.textContent = state === "live" ? label.dataset.liveText : label.dataset.lostText;
}

function connect() {
  source?.close();
  source = new EventSource("/live");
  source.addEventListener("open", () => {
    failures = 0;
    show("live");
    if (everConnected) tell(null); // what happened in between is not known
    everConnected = true;
  });
  source.addEventListener("changed", (event) => tell(new Set(JSON.parse(event.data).topics)));
  source.addEventListener("resync", () => tell(null));
  source.addEventListener("signed-out", signedOut);
  source.addEventListener("error", () => {
    show("lost");
    source.close();
    setTimeout(check, RETRY_MS[Math.min(failures++, RETRY_MS.length - 1)]);
  });
}

// EventSource does not tell why it failed: an ended login must lead to the sign-in page, not to endless retries.
async function check() {
  try {
    const answer = await fetchPart("/drawer/running");
    if (!answer) return;
    if (answer.status === 401) return signedOut(); // as a proxy in front of Vigie says it
  } catch {
    // the server is away; connect() tries again
  }
  connect();
}

function signedOut() {
  source?.close();
  location.assign(`/login?next=${encodeURIComponent(location.pathname + location.search)}`);
}

document.addEventListener("visibilitychange", () => {
  if (!document.hidden && missed) {
    missed = false;
    tell(null);
  }
});
window.addEventListener("pagehide", () => source?.close());
window.addEventListener("pageshow", (event) => {
  if (event.persisted) connect();
});
connect();
