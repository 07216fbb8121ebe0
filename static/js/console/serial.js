// The serial port by xterm.js. What it showed stays when the connection ends and comes back.

import { FitAddon } from "/static/vendor/addon-fit.mjs";
import { Terminal } from "/static/vendor/xterm.mjs";

const SCROLLBACK = 10000;
const KEPT_MS = 10000;

export class View {
  constructor(session) {
    this.session = session;
    this.stage = session.stage;
    this.kept = [];
    this.socket = null;
    this.encoder = new TextEncoder();
    this.terminal = new Terminal({
      scrollback: SCROLLBACK,
      convertEol: false,
      fontFamily: getComputedStyle(document.body).getPropertyValue("--tblr-font-monospace") || "monospace",
      fontSize: 14,
      screenReaderMode: false,
      documentOverride: lawful,
      theme: { background: "#06090e", foreground: "#dde3ec" },
    });
    this.fitter = new FitAddon();
    this.terminal.loadAddon(this.fitter);
    openLawfully(this.terminal, this.stage);
    this.terminal.textarea?.setAttribute("aria-label", this.stage.getAttribute("aria-label"));
    this.terminal.onData((data) => this.send(this.encoder.encode(data)));
    this.terminal.onBinary((data) => this.send(Uint8Array.from(data, (each) => each.charCodeAt(0))));
    this.sizes = new ResizeObserver(() => this.fitter.fit());
    this.sizes.observe(this.stage);
    this.stage.dataset.scale = "text";
    // For whoever reads the screen by a program, and for tests.
    this.stage.vigieTerminal = this.terminal;
  }

  async carry(socket, onOpen) {
    socket.onmessage = (event) => this.terminal.write(new Uint8Array(event.data));
    if (!(await socket.opened)) return socket.ended;
    this.socket = socket;
    onOpen();
    this.terminal.focus();
    const since = performance.now() - KEPT_MS;
    for (const { data, at } of this.kept) if (at > since) socket.send(data);
    this.kept = [];
    const problem = await socket.ended;
    this.socket = null;
    return problem;
  }

  send(data) {
    if (this.session.viewOnly) return;
    if (this.socket) this.socket.send(data);
    else if (this.kept.length < 400) this.kept.push({ data, at: performance.now() });
  }

  text(text) {
    this.send(this.encoder.encode(text.replaceAll("\r\n", "\n").replaceAll("\n", "\r")));
  }

  selection() {
    return this.terminal.getSelection();
  }

  leave() {
    this.sizes.disconnect();
    this.terminal.dispose();
  }

  focus() {
    this.terminal.focus();
  }
}

// Our policy forbids style elements and style attributes, which xterm.js makes; what it writes there goes into sheets
// and styles by script instead, which the policy allows.
const LAWFUL = {
  style: () => {
    const element = document.createElement("data");
    const sheet = new CSSStyleSheet();
    document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
    element.hidden = true;
    Object.defineProperty(element, "textContent", { set: (text) => sheet.replaceSync(text) });
    element.remove = () => {
      document.adoptedStyleSheets = document.adoptedStyleSheets.filter((each) => each !== sheet);
      Element.prototype.remove.call(element);
    };
    return element;
  },
  span: () => {
    const element = document.createElement("span");
    element.setAttribute = (name, value) => {
      if (name === "style") element.style.cssText = value;
      else Element.prototype.setAttribute.call(element, name, value);
    };
    return element;
  },
};

// The document as xterm.js sees it.
const lawful = new Proxy(document, {
  get(target, name) {
    if (name === "createElement") return (tag, ...rest) => (LAWFUL[tag] ?? (() => target.createElement(tag, ...rest)))();
    const value = Reflect.get(target, name, target);
    return typeof value === "function" ? value.bind(target) : value;
  },
});

// One style element of xterm.js 6.0, of its scroll bar, is made by the real document whatever it is told.
function openLawfully(terminal, stage) {
  document.createElement = (tag, ...rest) => (tag === "style" ? LAWFUL.style() : Document.prototype.createElement.call(document, tag, ...rest));
  try {
    terminal.open(stage);
  } finally {
    delete document.createElement;
  }
}
