// The few scripts of the pages. Everything works without them for reading and for forms; they add what HTML cannot do.
import "./theme.js";
import "./toasts.js";
import "./menus.js";
import "./times.js";
import "./keys.js";
import "./edit.js";
import "./live.js";
import "./select.js";
import "./panel.js";
import "./palette.js";

// Whoever presses keys (a test) may wait for this.
document.documentElement.dataset.scripts = "on";
