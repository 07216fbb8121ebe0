// What can be done with an open console: keys, text, clipboard, scale, looking only, picture, full screen.

import { layouts, strokesOf } from "./typing.js";

const NAMED = {
  Ctrl: [0xffe3, "ControlLeft"], Alt: [0xffe9, "AltLeft"], Shift: [0xffe1, "ShiftLeft"], Super: [0xffeb, "MetaLeft"],
  Delete: [0xffff, "Delete"], Backspace: [0xff08, "Backspace"], Tab: [0xff09, "Tab"], Escape: [0xff1b, "Escape"],
  Print: [0xff61, "PrintScreen"], Menu: [0xff67, "ContextMenu"],
};
for (let number = 1; number <= 12; number++) NAMED[`F${number}`] = [0xffbd + number, `F${number}`];

export class Toolbar {
  constructor(session) {
    this.session = session;
    this.root = session.root;
    this.texts = session.texts;
    this.state = this.find("[data-console-state]");
    this.panel = this.find("[data-console-panel]");
    this.box = this.panel?.querySelector("textarea");
    this.told = this.panel?.querySelector("[data-console-told]");
    this.layout = this.panel?.querySelector("select");
    const known = localStorage.getItem("vigie-console-layout");
    if (this.layout && layouts.includes(known)) this.layout.value = known;
    this.root.addEventListener("click", (event) => {
      const pressed = event.target.closest("[data-do]");
      if (pressed) this.act(pressed);
    });
    this.layout?.addEventListener("change", () => localStorage.setItem("vigie-console-layout", this.layout.value));
  }

  find(selector) {
    return this.root.querySelector(selector);
  }

  ready(view) {
    this.view = view;
    this.press("scale", view.fit);
    this.press("watch", this.session.viewOnly);
  }

  show(state, title) {
    this.state.textContent = title;
    for (const each of this.root.querySelectorAll("[data-needs]")) {
      const usable = state === "connected" && !(each.dataset.needs === "keys" && this.session.viewOnly);
      each.toggleAttribute("disabled", !usable);
    }
  }

  press(what, on) {
    this.find(`[data-do="${what}"]`)?.setAttribute("aria-pressed", String(Boolean(on)));
  }

  act(button) {
    const [what, rest] = button.dataset.do.split(":");
    const focuses = { keys: true, scale: true };
    this[`on_${what}`]?.(rest, button);
    button.closest("[popover]")?.hidePopover();
    if (focuses[what]) this.view?.focus();
  }

  on_again() {
    this.session.again();
  }

  on_keys(names) {
    this.view.chord(names.split("+").map((name) => NAMED[name]));
  }

  on_panel(_, button) {
    this.panel.hidden = !this.panel.hidden;
    button.setAttribute("aria-expanded", String(!this.panel.hidden));
    if (!this.panel.hidden) this.box.focus();
  }

  on_type() {
    if (this.session.kind === "serial") {
      this.view.text(this.box.value);
      this.view.focus();
      return;
    }
    const { strokes, missing } = strokesOf(this.box.value, this.layout.value);
    this.tell(missing.length ? `${this.texts.missing} ${missing.join(" ")}` : "");
    if (missing.length) return;
    this.view.type(strokes);
    this.view.focus();
  }

  on_give() {
    this.view.toGuest(this.box.value);
    this.tell(this.texts.given);
  }

  async on_copy() {
    const text = (this.session.kind === "serial" && this.view.selection()) || this.box.value;
    try {
      await navigator.clipboard.writeText(text);
      this.tell(this.texts.copied);
    } catch {
      this.box.value = text;
      this.box.select();
      this.tell(this.texts.copyByHand);
    }
  }

  fromGuest(text) {
    if (!this.box) return;
    this.box.value = text;
    this.tell(this.texts.taken);
  }

  tell(text) {
    this.told.textContent = text;
  }

  on_scale() {
    this.view.scale(!this.view.fit);
    this.press("scale", this.view.fit);
  }

  on_watch() {
    const on = !this.session.viewOnly;
    this.press("watch", on);
    this.session.watch(on);
  }

  async on_shot() {
    const picture = await this.view.picture();
    if (!picture) return;
    const link = document.createElement("a");
    link.href = URL.createObjectURL(picture);
    link.download = `${this.texts.name.replaceAll(/[^\w.-]+/g, "_")}-${new Date().toISOString().replaceAll(/[:.]/g, "-")}.png`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }

  on_full() {
    if (document.fullscreenElement) document.exitFullscreen();
    else this.root.requestFullscreen?.();
  }
}
