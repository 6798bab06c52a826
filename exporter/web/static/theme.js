// Before the first paint, so that a chosen theme does not flash in the other one.
"use strict";
try {
  const theme = localStorage.getItem("exit-exporter-theme");
  if (theme === "dark" || theme === "light") document.documentElement.dataset.theme = theme;
} catch {
  // Storage is forbidden: the system's theme it is.
}
