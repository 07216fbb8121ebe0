// Files go to the host in parts, one after the other; what stopped goes on where the server says that it is.

const PART = 4 * 1024 * 1024;
const MAX_ATTEMPTS = 5;

class Refused extends Error {}

async function api(method, path, body, type) {
  const headers = body === undefined ? {} : { "Content-Type": type ?? "application/json" };
  const answer = await fetch(`/api/v1${path}`, { method, headers, body });
  const said = answer.status === 204 ? null : await answer.json().catch(() => null);
  if (answer.ok) return said;
  const problem = said ?? { title: `HTTP ${answer.status}` };
  const text = [problem.title, problem.why, problem.hint].filter(Boolean).join(" ");
  throw Object.assign(answer.status >= 500 ? new Error(text) : new Refused(text), { code: problem.code });
}

const pause = (ms) => new Promise((done) => setTimeout(done, ms));

class Sender {
  constructor(root) {
    this.root = root;
    this.file = null;
    this.stopped = false;
    this.field = root.querySelector("input[type=file]");
    this.name = root.querySelector("#upload-name");
    this.startButton = root.querySelector("[data-upload-start]");
    this.stopButton = root.querySelector("[data-upload-stop]");
    this.field.addEventListener("change", () => this.choose(this.field.files[0]));
    root.addEventListener("dragover", (event) => event.preventDefault());
    root.addEventListener("drop", (event) => {
      event.preventDefault();
      if (event.dataTransfer.files.length) this.choose(event.dataTransfer.files[0]);
    });
    this.startButton.addEventListener("click", () => this.send());
    this.stopButton.addEventListener("click", () => (this.stopped = true));
  }

  choose(file) {
    if (!file) return;
    this.file = file;
    this.name.value = file.name;
    this.startButton.disabled = false;
  }

  say(key, percent) {
    this.root.querySelector("[data-upload-progress]").hidden = false;
    this.root.querySelector("[data-upload-said]").textContent =
      this.root.dataset[key] + (percent === undefined ? "" : ` ${percent} %`);
    if (percent !== undefined) this.root.querySelector("progress").value = percent;
  }

  fail(text) {
    const note = this.root.querySelector("[data-upload-error]");
    note.hidden = !text;
    note.firstElementChild.textContent = text ?? "";
    if (text) this.root.querySelector("[data-upload-progress]").hidden = true;
  }

  // The upload of this name that stopped, or a new one.
  async findOrCreate() {
    const pool = this.root.dataset.upload;
    const waiting = (await api("GET", `/pools/${pool}/uploads`)).items.find((each) => each.name === this.name.value);
    if (waiting && waiting.size_bytes !== this.file.size) throw new Refused(this.root.dataset.sayOther);
    if (waiting) return waiting;
    const asked = { name: this.name.value, size_bytes: this.file.size };
    return api("POST", `/pools/${pool}/uploads`, JSON.stringify(asked));
  }

  async sendPart(upload) {
    const body = this.file.slice(upload.offset_bytes, upload.offset_bytes + Math.min(PART, upload.part_bytes));
    for (let attempt = 1; ; attempt++) {
      try {
        const path = `/uploads/${upload.id}?offset=${upload.offset_bytes}`;
        return await api("PUT", path, body, "application/octet-stream");
      } catch (error) {
        if (error.code === "wrong_offset") return api("GET", `/uploads/${upload.id}`);
        if (error instanceof Refused || attempt === MAX_ATTEMPTS) throw error;
        await pause(attempt * 1000);
      }
    }
  }

  async send() {
    this.stopped = false;
    this.startButton.disabled = true;
    this.stopButton.hidden = false;
    this.fail(null);
    try {
      let upload = await this.findOrCreate();
      while (upload.offset_bytes < upload.size_bytes && !this.stopped) {
        this.say("saySending", Math.floor((100 * upload.offset_bytes) / upload.size_bytes));
        if (upload.size_bytes - upload.offset_bytes <= PART) this.say("sayChecking", 99);
        upload = await this.sendPart(upload);
      }
      this.say(this.stopped ? "sayStopped" : "sayDone", this.stopped ? undefined : 100);
    } catch (error) {
      this.fail(error.message);
    }
    this.stopButton.hidden = true;
    this.startButton.disabled = false;
  }
}

function setUp() {
  for (const root of document.querySelectorAll("[data-upload]:not([data-ready])")) {
    root.dataset.ready = "";
    new Sender(root);
  }
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest?.("[data-upload-give-up]");
  if (!button) return;
  button.disabled = true;
  await api("DELETE", `/uploads/${button.dataset.uploadGiveUp}`).catch(() => null);
  button.closest("tr").remove();
});
document.addEventListener("htmx:after:swap", setUp);
setUp();
