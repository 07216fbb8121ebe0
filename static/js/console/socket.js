// The WebSocket of a console, in the shape that noVNC takes. Binary messages are the console's, text is Vigie's own:
// {"event": "open"} once the VM answers, {"event": "end", "problem": {…}} before the end.

const OPENING_MS = 20000;

export class ConsoleSocket {
  constructor(ticket) {
    this.binaryType = "arraybuffer";
    this.onopen = this.onclose = this.onerror = this.onleave = null;
    this.waiting = []; // what came before anybody listened
    this.listener = null;
    this.problem = null;
    this.socket = new WebSocket(ticket.url, ["vigie", `vigie.ticket.${ticket.ticket}`]);
    this.socket.binaryType = "arraybuffer";
    this.ended = new Promise((resolve) => (this.tellEnded = resolve));
    this.opened = new Promise((resolve) => {
      this.tellOpened = resolve;
      this.timer = setTimeout(() => this.close(), OPENING_MS);
    });
    this.socket.addEventListener("message", (event) => this.receive(event));
    this.socket.addEventListener("close", (event) => this.finish(event));
  }

  get onmessage() {
    return this.listener;
  }

  set onmessage(listener) {
    this.listener = listener;
    for (const event of this.waiting.splice(0)) listener(event);
  }

  get readyState() {
    return this.socket.readyState;
  }

  get protocol() {
    return this.socket.protocol;
  }

  send(data) {
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(data);
  }

  close() {
    this.socket.close();
  }

  receive(event) {
    if (typeof event.data !== "string") {
      if (this.listener) this.listener(event);
      else this.waiting.push(event);
      return;
    }
    const told = JSON.parse(event.data);
    if (told.problem) this.problem = told.problem;
    if (told.event === "open") {
      clearTimeout(this.timer);
      this.tellOpened(true);
    }
  }

  finish(event) {
    clearTimeout(this.timer);
    this.tellOpened(false);
    this.onleave?.();
    this.onclose?.(event);
    this.tellEnded(this.problem);
  }
}
