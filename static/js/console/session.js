// One console of the page: looks how the VM is, asks for a ticket, connects, and connects again after whatever ended
// it: a reboot, a restart of Vigie or of the VM, a move to another host. It always says what it does.

import { ConsoleSocket } from "./socket.js";
import { Toolbar } from "./toolbar.js";

const PAUSES_MS = [150, 400, 800, 1500, 3000, 5000];
const LOOK_MS = 1500; // how often a VM that is off is looked at
const STEADY_MS = 5000; // what was open for so long counts as good
// Trying again by itself would not help: a person must do something first.
const FINAL = new Set([
  "not_allowed", "not_found", "no_display", "no_serial", "serial_busy", "display_out_of_reach", "display_refused",
  "display_login_unsupported", "display_forwarding_forbidden", "host_observed", "view_only_message", "too_many_consoles",
  "cross_origin",
]);

export class Session {
  constructor(root) {
    this.root = root;
    this.texts = root.dataset;
    this.kind = root.dataset.kind;
    this.viewOnly = root.hasAttribute("data-view-only");
    this.stage = root.querySelector(".vg-console-stage");
    this.cover = root.querySelector(".vg-console-cover");
    this.over = false;
    this.failures = 0;
    this.force = false;
    this.toolbar = new Toolbar(this);
  }

  end() {
    this.over = true;
    this.socket?.close();
    this.view?.leave();
    this.wake?.();
  }

  async run() {
    const { View } = await import(this.kind === "serial" ? "./serial.js" : "./screen.js");
    this.view = new View(this);
    this.toolbar.ready(this.view);
    while (!this.over) {
      try {
        await this.once();
      } catch (error) {
        if (this.over) return;
        await this.afterProblem(error.problem ?? { code: "away", title: this.texts.away });
      }
    }
  }

  // From a look at the VM to the end of the connection. Throws {problem} when there is something to tell.
  async once() {
    const vm = await this.ask("GET", `/api/v1/vms/${this.texts.vm}`);
    if (!["running", "paused", "suspended"].includes(vm.state)) {
      this.failures = 0;
      this.say("waiting", this.texts.waiting, this.texts.waitingHint);
      return this.sleep(LOOK_MS);
    }
    if (this.root.dataset.state !== "lost") this.say("connecting", this.texts.connecting);
    const wanted = { kind: this.kind, view_only: this.viewOnly, force: this.force };
    const ticket = await this.ask("POST", `/api/v1/vms/${this.texts.vm}/consoles`, wanted);
    this.force = false;
    if (this.over) return;
    this.socket = new ConsoleSocket(ticket);
    let opened = 0;
    const problem = await this.view.carry(this.socket, () => {
      opened = performance.now();
      this.say("connected", this.texts.connected);
    });
    if (this.over) return;
    if (opened && performance.now() - opened > STEADY_MS) this.failures = 0;
    throw Object.assign(new Error("ended"), { problem: problem ?? { code: "ended", title: this.texts.lost } });
  }

  async afterProblem(problem) {
    const why = [problem.why, problem.hint].filter(Boolean).join(" ");
    if (FINAL.has(problem.code)) {
      this.failures = 0;
      const taking = problem.code === "serial_busy";
      this.say("stopped", problem.title, why, taking ? this.texts.take : this.texts.again);
      await this.sleep(Infinity);
      this.force = taking;
      return;
    }
    const known = !["ended", "away", "vm_moved"].includes(problem.code);
    this.say("lost", problem.title, known ? why : this.texts.lostHint);
    await this.sleep(PAUSES_MS[Math.min(this.failures++, PAUSES_MS.length - 1)] * (0.8 + Math.random() / 2.5));
  }

  async ask(method, url, body) {
    const answer = await fetch(url, {
      method,
      headers: body ? { "Content-Type": "application/json" } : {},
      body: body && JSON.stringify(body),
    });
    if (answer.status === 401) {
      this.end();
      location.assign(`/login?next=${encodeURIComponent(location.pathname + location.search)}`);
    }
    const told = await answer.json();
    if (!answer.ok) throw Object.assign(new Error(told.title), { problem: told });
    return told;
  }

  // Show in which state the console is; `button` is what can be done about it.
  say(state, title, text = "", button = "") {
    this.root.dataset.state = state;
    const [strong, more, action] = this.cover.children;
    if (strong.textContent !== title) strong.textContent = title;
    if (more.textContent !== text) more.textContent = text;
    action.hidden = !button;
    action.textContent = button;
    this.cover.hidden = state === "connected";
    this.toolbar.show(state, title);
  }

  // Try again now.
  again() {
    this.wake?.();
  }

  watch(viewOnly) {
    this.viewOnly = viewOnly;
    this.failures = 0;
    this.socket?.close();
    this.wake?.();
  }

  sleep(ms) {
    return new Promise((resolve) => {
      const timer = ms === Infinity ? 0 : setTimeout(resolve, ms);
      this.wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
