// Starts the console of the page, when there is one, and ends it when the page is left. The rest is loaded only then.

let open = null;

async function look() {
  const root = document.querySelector("[data-console]");
  if (open && open.root !== root) {
    open.end();
    open = null;
  }
  if (!root || open) return;
  const mine = { root, end: () => (mine.over = true) };
  open = mine;
  const { Session } = await import("./session.js");
  if (mine.over) return;
  const session = new Session(root);
  mine.end = () => session.end();
  session.run();
}

document.addEventListener("htmx:after:swap", look);
window.addEventListener("pagehide", () => open?.end());
window.addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});
look();
