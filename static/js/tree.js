// The inventory tree: wunderbaum draws only the rows in sight and asks for children when a node is opened.
// It knows no ARIA, so the roles are set here. What is open is remembered per view in this browser.
import { Wunderbaum } from "/static/vendor/wunderbaum.esm.min.js";
import { onChange } from "./live.js";
import { fetchPart } from "./fetch_part.js";
import { visit } from "./shell.js";

const ROW_PX = 24;
const MAX_REMEMBERED = 200;
const SETTLE_MS = 400; // changes of many rows are read together
const ID = /(?:vm|host|dc|pool|net)_[a-z2-7]{16}/;
const panel = document.getElementById("tree");
const texts = panel.dataset;
let view = localStorage.getItem("vigie-tree-view") ?? "hosts";
let tree = null;

// Which nodes were opened or closed by hand; the top ones are open unless they were closed.
const opened = {
  key: () => `vigie-tree-${view}`,
  read: () => JSON.parse(localStorage.getItem(opened.key()) ?? "{}"),
  has: (node) => opened.read()[node.key] ?? node.getLevel() === 1,
  write(id, open) {
    const all = Object.entries({ ...opened.read(), [id]: open });
    localStorage.setItem(opened.key(), JSON.stringify(Object.fromEntries(all.slice(-MAX_REMEMBERED))));
  },
};

async function children(parent) {
  const url = `/tree/children?view=${view}${parent ? `&parent=${parent}` : ""}`;
  const answer = await fetchPart(url);
  if (!answer?.ok) throw new Error(texts.failed);
  return (await answer.json()).map(nodeOf);
}

function nodeOf(found) {
  const { id, name, children: lazy, ...data } = found;
  return { ...data, key: id, title: name, lazy, icon: false };
}

function iconOf(kind) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "vg-icon");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `#i-${kind}`);
  svg.append(use);
  return svg;
}

function span(className) {
  const made = document.createElement("span");
  made.className = className;
  return made;
}

// Called by wunderbaum for each row that comes into sight or changes.
function render({ node, nodeElem, isNew }) {
  const { kind, state, tone, stale, count } = node.data;
  const title = nodeElem.querySelector(".wb-title");
  if (isNew) {
    title.before(iconOf(kind));
    if (state) title.before(span("vg-dot"));
    nodeElem.append(span("vg-tree-count"));
  }
  const dot = nodeElem.querySelector(".vg-dot");
  if (dot) {
    dot.dataset.tone = tone;
    dot.toggleAttribute("data-stale", Boolean(stale));
  }
  nodeElem.querySelector(".vg-tree-count").textContent = count ?? "";
  nodeElem.classList.toggle("vg-tree-dim", Boolean(stale) || state === "shutoff");
  const row = nodeElem.closest(".wb-row");
  row.id = `tree-${node.key}`;
  row.setAttribute("role", "treeitem");
  row.setAttribute("aria-level", String(node.getLevel()));
  row.setAttribute("aria-selected", String(node.isActive()));
  row.setAttribute("aria-label", [node.title, state, stale ? texts.stale : ""].filter(Boolean).join(", "));
  if (node.isExpandable(true)) row.setAttribute("aria-expanded", String(Boolean(node.expanded)));
  row.title = node.title;
}

function make(source) {
  const element = document.createElement("div");
  element.className = "wunderbaum";
  panel.replaceChildren(element);
  return new Wunderbaum({
    element,
    id: `inventory-${view}`,
    source,
    debugLevel: 0,
    rowHeightPx: ROW_PX,
    adjustHeight: false,
    header: true, // and hidden by our style: wunderbaum would hide it by an inline one, which the policy forbids
    iconMap: { expanderExpanded: "vg-tree-open", expanderCollapsed: "vg-tree-shut", expanderLazy: "vg-tree-shut", loading: "vg-tree-wait", noData: "", error: "" },
    strings: { loading: "…", loadError: texts.failed, noData: texts.empty },
    lazyLoad: (event) => children(event.node.key),
    render,
    activate: (event) => mark(event.node),
    click: (event) => {
      if (event.info.region === "expander") return undefined;
      open(event.node);
      return undefined;
    },
    keydown: (event) => {
      if (event.event.key !== "Enter" || !event.tree.getActiveNode()) return undefined;
      open(event.tree.getActiveNode());
      return false;
    },
    expand: (event) => opened.write(event.node.key, event.flag),
  });
}

function open(node) {
  node.setActive(true, { noEvents: true });
  mark(node);
  visit(node.data.url);
}

// wunderbaum keeps the focus on its element; readers of screens are told which row is meant.
function mark(node) {
  tree.element.setAttribute("aria-activedescendant", `tree-${node.key}`);
  for (const row of tree.element.querySelectorAll("[role=treeitem]")) row.setAttribute("aria-selected", String(row.id === `tree-${node.key}`));
}

async function load() {
  panel.setAttribute("aria-labelledby", `view-${view}`);
  for (const tab of document.querySelectorAll("[data-tree-view]")) {
    tab.setAttribute("aria-selected", String(tab.dataset.treeView === view));
    tab.tabIndex = tab.dataset.treeView === view ? 0 : -1;
  }
  const roots = await children(null).catch(() => []);
  tree = make(roots);
  tree.element.setAttribute("role", "tree");
  tree.element.setAttribute("aria-label", texts.label);
  await tree.ready.catch(() => undefined);
  await reopen(tree.root);
  await follow();
}

async function reopen(parent) {
  for (const node of [...(parent.children ?? [])]) {
    if (!node.lazy || !opened.has(node)) continue;
    await node.setExpanded(true, { noEvents: true, noAnimation: true, scrollIntoView: false });
    await reopen(node);
  }
}

// Show where the page is, opening what stands above it.
async function follow() {
  const id = location.pathname.match(ID)?.[0];
  if (!id) return void tree.getActiveNode()?.setActive(false, { noEvents: true });
  let node = tree.findKey(id);
  if (!node && /^(vm|host)_/.test(id) && view === "hosts") {
    const answer = await fetchPart(`/tree/path?id=${id}`);
    for (const { id: above } of answer?.ok ? await answer.json() : []) {
      if (above !== id) await tree.findKey(above)?.setExpanded(true, { noAnimation: true, scrollIntoView: false });
    }
    node = tree.findKey(id);
  }
  if (!node) return;
  await node.setActive(true, { noEvents: true });
  await node.scrollIntoView({ noAnimation: true });
  mark(node);
}

// --- live: read the children of those nodes again that hold something changed
const dirty = new Set(); // keys of parents, "" for the roots
let timer = 0;

function changed(topics) {
  if (!tree) return;
  if (!topics || topics.has("tree")) {
    dirty.add("");
    tree.visit((node) => void (node.expanded && dirty.add(node.key)));
  } else {
    for (const topic of topics) {
      const node = tree.findKey(topic);
      if (node) dirty.add(node.parent.parent ? node.parent.key : "");
    }
  }
  if (dirty.size && !timer) timer = setTimeout(renew, SETTLE_MS);
}

async function renew() {
  timer = 0;
  const keys = [...dirty];
  dirty.clear();
  for (const key of keys) {
    const parent = key ? tree.findKey(key) : tree.root;
    if (!parent || !parent.children) continue;
    const fresh = await children(key || null).catch(() => null);
    if (fresh) merge(parent, fresh);
  }
}

function merge(parent, fresh) {
  const wanted = new Map(fresh.map((node) => [node.key, node]));
  for (const node of [...parent.children]) if (!wanted.has(node.key)) node.remove();
  fresh.forEach((found, place) => {
    const node = parent.children.find((each) => each.key === found.key);
    if (!node) return void parent.addChildren([found], { before: parent.children[place] ?? null });
    const { key, title, lazy, icon, ...data } = found;
    const same = node.title === title && node.lazy === lazy && JSON.stringify(node.data) === JSON.stringify(data);
    if (same) return;
    Object.assign(node, { title, lazy });
    Object.assign(node.data, data);
    node.update();
  });
}

for (const tab of document.querySelectorAll("[data-tree-view]")) {
  tab.addEventListener("click", () => {
    view = tab.dataset.treeView;
    localStorage.setItem("vigie-tree-view", view);
    load();
  });
}
document.addEventListener("vigie:arrived", () => tree && follow());
onChange(changed);
load();
