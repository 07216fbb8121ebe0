// Small curves of what was seen since the page was opened. The server writes the newest value on the element
// (data-value, data-at in seconds); this keeps the earlier ones, for this page only.

const KEEP_S = 1800;
const seen = new Map(); // data-spark -> [[seconds, value or null], …]

function remember(element) {
  const points = seen.get(element.dataset.spark) ?? [];
  const at = Number(element.dataset.at);
  if (at && at !== points.at(-1)?.[0]) {
    points.push([at, element.dataset.value === "" ? null : Number(element.dataset.value)]);
  }
  const kept = points.filter(([when]) => when >= at - KEEP_S);
  seen.set(element.dataset.spark, kept);
  return kept;
}

function draw(element) {
  const points = remember(element);
  const svg = element.querySelector("svg");
  const values = points.map(([, value]) => value).filter((value) => value !== null);
  if (!svg || values.length < 2) return;
  const most = Number(element.dataset.most) || Math.max(...values) || 1;
  const first = points[0][0];
  const span = points.at(-1)[0] - first || 1;
  const parts = runs(points).map((run) =>
    run.map(([at, value]) => [((at - first) / span) * 600, 60 - (Math.min(value, most) / most) * 57]),
  );
  const line = parts.map((run) => `M${run.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join("L")}`).join("");
  const area = parts
    .map((run) => `M${run[0][0].toFixed(1)},60L${run.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join("L")}L${run.at(-1)[0].toFixed(1)},60Z`)
    .join("");
  svg.replaceChildren(path(line), path(area));
}

// A time without a value (the VM was off, the host silent) is a gap, not a zero.
function runs(points) {
  const found = [[]];
  for (const point of points) {
    if (point[1] === null) found.push([]);
    else found.at(-1).push(point);
  }
  return found.filter((run) => run.length);
}

function path(d) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", "path");
  made.setAttribute("d", d);
  return made;
}

function drawAll() {
  document.querySelectorAll("[data-spark]").forEach(draw);
}

document.addEventListener("htmx:after:swap", drawAll);
drawAll();
