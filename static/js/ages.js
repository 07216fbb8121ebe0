// Ages tick: <time data-age datetime="…"> says "38 s ago" as the server would, <time data-elapsed> "38 s".

const texts = document.getElementById("script-texts").dataset;
const UNITS = [
  [86400, texts.day],
  [3600, "h"],
  [60, "min"],
];

function since(iso) {
  const seconds = Math.max(0, Math.floor((Date.now() - Date.parse(iso)) / 1000));
  const [size, unit] = UNITS.find(([each]) => seconds >= each) ?? [1, "s"];
  return `${Math.floor(seconds / size)}\u202f${unit}`;
}

function tick() {
  if (document.hidden) return;
  for (const element of document.querySelectorAll("time[data-age], time[data-elapsed]")) {
    const time = since(element.dateTime);
    const text = "elapsed" in element.dataset ? time : texts.ago.replace("%(time)s", time);
    if (element.textContent !== text) element.textContent = text;
  }
}

setInterval(tick, 1000);
