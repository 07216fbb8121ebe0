// Everything the open shell does by itself. Each module sets itself up; none knows another's insides.
import "./shell.js";
import "./ages.js";
import "./toasts.js";
import "./questions.js";
import "./fields.js";
import "./upload.js";
import "./tables.js";
import "./palette.js";
import "./shortcuts.js";
import "./tree.js";
import "./live.js";
import "./spark.js";
import "./console/boot.js";
