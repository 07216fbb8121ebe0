// Text as the strokes of a keyboard. A VM has a keyboard, not letters: which letter a key gives is decided by the
// layout that is set inside the guest, so that layout must be named here.

const ROWS = [
  "Backquote Digit1 Digit2 Digit3 Digit4 Digit5 Digit6 Digit7 Digit8 Digit9 Digit0 Minus Equal",
  "KeyQ KeyW KeyE KeyR KeyT KeyY KeyU KeyI KeyO KeyP BracketLeft BracketRight",
  "KeyA KeyS KeyD KeyF KeyG KeyH KeyJ KeyK KeyL Semicolon Quote Backslash",
  "IntlBackslash KeyZ KeyX KeyC KeyV KeyB KeyN KeyM Comma Period Slash",
].map((row) => row.split(" "));

// By layout: each row alone, with Shift, with AltGr. A space stands for a key that gives no character by itself.
const LAYOUTS = {
  "en-us": [
    ["`1234567890-=", "~!@#$%^&*()_+", ""],
    ["qwertyuiop[]", "QWERTYUIOP{}", ""],
    ["asdfghjkl;'\\", 'ASDFGHJKL:"|', ""],
    [" zxcvbnm,./", " ZXCVBNM<>?", ""],
  ],
  "en-gb": [
    ["`1234567890-=", '¬!"£$%^&*()_+', "¦   €        "],
    ["qwertyuiop[]", "QWERTYUIOP{}", ""],
    ["asdfghjkl;'#", "ASDFGHJKL:@~", ""],
    ["\\zxcvbnm,./", "|ZXCVBNM<>?", ""],
  ],
  fr: [
    ["²&é\"'(-è_çà)=", " 1234567890°+", "  ~#{[|`\\^@]}"],
    ["azertyuiop $", "AZERTYUIOP £", "  €         "],
    ["qsdfghjklmù*", "QSDFGHJKLM%µ", ""],
    ["<wxcvbn,;:!", ">WXCVBN?./§", ""],
  ],
  de: [
    [" 1234567890ß ", '°!"§$%&/()=? ', "  ²³   {[]}\\ "],
    ["qwertzuiopü+", "QWERTZUIOPÜ*", "@ €        ~"],
    ["asdfghjklöä#", "ASDFGHJKLÖÄ'", ""],
    ["<yxcvbnm,.-", ">YXCVBNM;:_", "|      µ   "],
  ],
};
// Dead keys give their sign with a space after them.
const DEAD = {
  fr: { "¨": ["BracketLeft", ["ShiftLeft"]] },
  de: { "^": ["Backquote", []], "´": ["Equal", []], "`": ["Equal", ["ShiftLeft"]] },
};
const MODIFIERS = [[], ["ShiftLeft"], ["AltRight"]];
const PLAIN = { " ": "Space", "\n": "Enter", "\t": "Tab" };

export const layouts = Object.keys(LAYOUTS);

// The strokes of a text, and the characters that the layout does not have.
export function strokesOf(text, layout) {
  const known = tableOf(layout);
  const strokes = [];
  const missing = new Set();
  for (const character of text.replaceAll("\r\n", "\n").replaceAll("\r", "\n")) {
    const found = known.get(character);
    if (found) strokes.push(...found);
    else missing.add(character);
  }
  return { strokes, missing: [...missing] };
}

function tableOf(layout) {
  const table = new Map();
  LAYOUTS[layout].forEach((levels, row) =>
    levels.forEach((characters, level) =>
      [...characters].forEach((character, column) => {
        if (character === " " || table.has(character)) return;
        table.set(character, [{ code: ROWS[row][column], modifiers: MODIFIERS[level], character }]);
      }),
    ),
  );
  const space = { code: "Space", modifiers: [], character: " " };
  for (const [character, [code, modifiers]] of Object.entries(DEAD[layout] ?? {}))
    table.set(character, [{ code, modifiers, character }, space]);
  for (const [character, code] of Object.entries(PLAIN)) table.set(character, [{ code, modifiers: [], character }]);
  return table;
}
