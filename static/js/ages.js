// Ages tick: <time data-age datetime="…"> says "38 s ago" as the server would.

const texts = document.getElementById("script-texts").dataset;
const UNITS = [
  [86400, texts.day],
  [3600, "h"],
  [60, "min"],
];

export function ago(iso) {
  const seconds = Math.max(0, Math.floor((Date.now() - Date.parse(iso)) / 1000));
  const [size, unit] = UNITS.find(([each]) => seconds >= each) ?? [1, "s"];
  return texts.ago.replace("%(time)s", `${Math.floor(seconds / size)}\u202f${unit}`);
}

function tick() {
  if (document.hidden) return;
  for (const element of document.querySelectorAll("time[data-age]")) {
    const text = ago(element.dateTime);
    if (element.textContent !== text) element.textContent = text;
  }
}

setInterval(tick, 1000);
