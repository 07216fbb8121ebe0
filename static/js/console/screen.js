// The screen by noVNC. What is typed while it is away is kept for some seconds and sent once it is back.

import RFB from "/static/vendor/novnc/core/rfb.js";
import Keyboard from "/static/vendor/novnc/core/input/keyboard.js";
import keysyms from "/static/vendor/novnc/core/input/keysymdef.js";

const KEPT_MS = 10000;
const MAX_KEPT = 400;
const KEY_PAUSE_MS = 12; // between typed keys: a guest's keyboard has a short memory

export class View {
  constructor(session) {
    this.session = session;
    this.stage = session.stage;
    this.fit = localStorage.getItem("vigie-console-scale") !== "real";
    this.rfb = null;
    this.kept = [];
    this.down = new Set();
    this.meanwhile = new Keyboard(this.stage);
    this.meanwhile.onkeyevent = (keysym, code, isDown) => this.keep(keysym, code, isDown);
  }

  // Show the screen until the connection ends; resolves with the problem that ended it, if one did.
  async carry(socket, onOpen) {
    if (!(await socket.opened)) return socket.ended;
    const focused = this.stage.contains(document.activeElement);
    this.rfb = new RFB(this.stage, socket, { shared: true });
    this.rfb.viewOnly = this.session.viewOnly;
    this.rfb.showDotCursor = true;
    this.rfb.background = "transparent";
    this.scale(this.fit);
    this.rfb.addEventListener("clipboard", (event) => this.session.toolbar.fromGuest(event.detail.text));
    this.rfb.addEventListener("connect", () => {
      this.hold(false);
      this.label();
      onOpen();
      if (focused || this.first === undefined) this.rfb?.focus({ preventScroll: true });
      this.first = false;
      this.release();
    });
    let hadFocus = false;
    socket.onleave = () => (hadFocus = this.stage.contains(document.activeElement)); // before noVNC takes its canvas away
    const problem = await socket.ended;
    this.rfb = null; // it has heard the same
    this.drop();
    this.hold(true);
    if (hadFocus) this.stage.focus({ preventScroll: true });
    return problem;
  }

  leave() {
    this.hold(false);
    this.drop();
  }

  drop() {
    this.rfb?.disconnect();
    this.rfb = null;
    this.stage.querySelectorAll(":scope > div").forEach((each) => each.remove());
  }

  label() {
    const canvas = this.stage.querySelector("canvas");
    canvas?.setAttribute("role", "application");
    canvas?.setAttribute("aria-label", this.stage.getAttribute("aria-label"));
  }

  // Listen to the keyboard ourselves, while noVNC does not.
  hold(on) {
    if (on === this.holding) return;
    this.holding = on;
    this.stage.tabIndex = on ? 0 : -1; // while connected, the canvas has the focus
    if (on) this.meanwhile.grab();
    else this.meanwhile.ungrab();
  }

  keep(keysym, code, isDown) {
    if (this.session.viewOnly || this.kept.length >= MAX_KEPT) return;
    this.kept.push({ keysym, code, isDown, at: performance.now() });
  }

  release() {
    const since = performance.now() - KEPT_MS;
    const kept = this.kept.filter((each) => each.at > since);
    this.kept = [];
    this.press(kept.map((each) => [each.keysym, each.code, each.isDown]));
  }

  // Press and release keys, each as [keysym, code, down], one after the other.
  async press(keys) {
    for (const [keysym, code, isDown] of keys) {
      this.rfb?.sendKey(keysym, code, isDown);
      await new Promise((resolve) => setTimeout(resolve, KEY_PAUSE_MS));
    }
  }

  // Keys held together, by their codes: the order is that of pressing.
  chord(keys) {
    const down = keys.map(([keysym, code]) => [keysym, code, true]);
    const up = [...keys].reverse().map(([keysym, code]) => [keysym, code, false]);
    return this.press([...down, ...up]);
  }

  // Type strokes as a keyboard layout made them; see typing.js.
  type(strokes) {
    const keys = [];
    for (const { code, modifiers, character } of strokes) {
      const keysym = character ? keysyms.lookup(character.codePointAt(0)) : 0;
      for (const each of modifiers) keys.push([MODIFIERS[each], each, true]);
      keys.push([SPECIAL[code] ?? keysym, code, true], [SPECIAL[code] ?? keysym, code, false]);
      for (const each of [...modifiers].reverse()) keys.push([MODIFIERS[each], each, false]);
    }
    return this.press(keys);
  }

  toGuest(text) {
    this.rfb?.clipboardPasteFrom(text);
  }

  scale(fit) {
    this.fit = fit;
    localStorage.setItem("vigie-console-scale", fit ? "fit" : "real");
    this.stage.dataset.scale = fit ? "fit" : "real";
    if (this.rfb) this.rfb.scaleViewport = fit;
  }

  picture() {
    return new Promise((resolve) => (this.rfb ? this.rfb.toBlob(resolve, "image/png") : resolve(null)));
  }

  focus() {
    if (this.rfb) this.rfb.focus();
    else this.stage.focus();
  }
}

const MODIFIERS = { ShiftLeft: 0xffe1, ControlLeft: 0xffe3, AltLeft: 0xffe9, AltRight: 0xfe03 };
const SPECIAL = { Enter: 0xff0d, Tab: 0xff09, Space: 0x20 };
