// Keeps the page up to date, and adds keys and buttons. Without it, all is there after a reload.
"use strict";

const UNITS = [["d", 86400], ["h", 3600], ["m", 60], ["s", 1]];
const LEAST_WAIT = 1000;
// A page that is slow to make is asked for less often: each browser takes at most a twentieth of the server.
const REST = 20;
const RETRY = 5000;

const main = document.getElementById("main");
const mark = document.getElementById("live");
const root = document.documentElement;
const stream = { source: null, lostSince: null, retry: 0 };
const refreshing = { busy: false, wanted: false };
let clockTimes = stored("times") === "clock";

function stored(name, value) {
  try {
    if (value !== undefined) localStorage.setItem(`exit-exporter-${name}`, value);
    return localStorage.getItem(`exit-exporter-${name}`);
  } catch {
    return null;
  }
}

// Times: the words are those of the server.

function age(seconds) {
  const parts = [];
  let rest = Math.max(0, Math.floor(seconds));
  for (const [unit, length] of UNITS) {
    const count = Math.floor(rest / length);
    rest -= count * length;
    if (count) parts.push(`${count}${unit}`);
  }
  return `${parts.slice(0, 2).join("") || "0s"} ago`;
}

function showTimes() {
  const now = Date.now();
  const today = new Date(now).toISOString().slice(0, 10);
  for (const time of document.querySelectorAll("time:not(.clock)")) {
    const at = time.dateTime;
    const day = at.startsWith(today) ? "" : `${at.slice(0, 10)} `;
    const text = clockTimes ? day + at.slice(11, 19) : age(Math.floor(now / 1000) - Math.floor(Date.parse(at) / 1000));
    if (time.textContent !== text) time.textContent = text;
  }
  if (stream.lostSince) showLost();
}

// The mark: live, or since when it is not.

function showLive() {
  stream.lostSince = null;
  mark.className = "live is-live";
  mark.textContent = "live";
}

function showLost() {
  const since = stream.lostSince.toTimeString().slice(0, 8);
  mark.className = "live is-lost";
  const text = `reconnecting since ${since}`;
  if (mark.textContent !== text) mark.textContent = text;
}

// The stream says that something changed; what is shown is always made by the server.

function concerns(message) {
  if (main.dataset.live === "any") return true;
  const job = JSON.parse(message.data);
  return job.id === main.dataset.job || job.workload === main.dataset.workload;
}

function connect() {
  clearTimeout(stream.retry);
  stream.source?.close();
  const source = new EventSource(`${root.dataset.root}api/v1/stream`);
  stream.source = source;
  source.onopen = () => {
    showLive();
    // Something can have changed before the stream was open.
    refresh();
  };
  source.onerror = () => {
    stream.lostSince ??= new Date();
    showLost();
    if (source.readyState === EventSource.CLOSED) stream.retry = setTimeout(connect, RETRY);
  };
  source.addEventListener("job", (message) => concerns(message) && refresh());
  source.addEventListener("reset", refresh);
  source.addEventListener("dropped", refresh);
}

function disconnect() {
  clearTimeout(stream.retry);
  stream.source?.close();
  stream.source = null;
}

async function refresh() {
  if (refreshing.busy) {
    refreshing.wanted = true;
    return;
  }
  refreshing.busy = true;
  refreshing.wanted = false;
  const began = performance.now();
  let wait = RETRY;
  try {
    const response = await fetch(location.href, { cache: "no-store" });
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    const content = page.getElementById("content");
    if (!response.ok || !content) throw new Error(`answered ${response.status}`);
    wait = Math.max(LEAST_WAIT, REST * (performance.now() - began));
    await noSelection();
    replaceContent(content);
  } catch {
    refreshing.wanted = true;
  }
  setTimeout(() => {
    refreshing.busy = false;
    if (refreshing.wanted && stream.source) refresh();
  }, wait);
}

// Text that somebody has selected stays until it is copied.
function noSelection() {
  const isFree = () => {
    const selection = document.getSelection();
    return !selection || selection.isCollapsed || !main.contains(selection.anchorNode);
  };
  if (isFree()) return Promise.resolve();
  return new Promise((resolve) => {
    const check = () => {
      if (!isFree()) return;
      document.removeEventListener("selectionchange", check);
      resolve();
    };
    document.addEventListener("selectionchange", check);
  });
}

function replaceContent(fresh) {
  const old = document.getElementById("content");
  const known = new Map([...old.querySelectorAll("tr[id]")].map((row) => [row.id, row.className]));
  const opened = [...old.querySelectorAll("details")].map((details) => details.open);
  const focused = focusPath(old);
  const content = document.importNode(fresh, true);
  for (const row of content.querySelectorAll("tr[id]")) {
    if (known.get(row.id)?.replace(" is-new", "") !== row.className) row.classList.add("is-new");
  }
  content.querySelectorAll("details").forEach((details, number) => {
    if (number in opened) details.open = opened[number];
  });
  old.replaceWith(content);
  addCopyButtons();
  showTimes();
  restoreFocus(focused);
}

function focusPath(within) {
  const element = document.activeElement;
  if (!within.contains(element)) return null;
  const owner = element.closest("[id]");
  const place = [...owner.querySelectorAll("a, button, summary, [tabindex]")].indexOf(element);
  return { id: owner.id, place };
}

function restoreFocus(path) {
  const owner = path && document.getElementById(path.id);
  if (!owner) return;
  const element = path.place < 0 ? owner : owner.querySelectorAll("a, button, summary, [tabindex]")[path.place];
  element?.focus({ preventScroll: true });
}

// Keys, filters and buttons.

function step(by) {
  const links = [...document.querySelectorAll("table.jobs td.name a")];
  const row = document.activeElement.closest?.("tr[id]");
  const here = links.findIndex((link) => link.closest("tr") === row);
  const next = links[here < 0 ? (by > 0 ? 0 : links.length - 1) : here + by];
  next?.focus();
  next?.scrollIntoView({ block: "nearest" });
}

function onKey(event) {
  const search = document.getElementById("search");
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Escape" && event.target === search) search.blur();
  if (event.target.closest?.("input, select, textarea")) return;
  if (event.key === "/") {
    event.preventDefault();
    if (search) search.select();
    else location.href = root.dataset.root;
  }
  if (event.key === "j") step(1);
  if (event.key === "k") step(-1);
}

function setUpFilters() {
  const form = document.querySelector("form.filters");
  if (!form) return;
  const fields = [...form.elements];
  // An address without what is empty is easier to read, and to paste.
  form.addEventListener("submit", () => fields.forEach((field) => { field.disabled = field.name && !field.value; }));
  addEventListener("pageshow", () => fields.forEach((field) => { field.disabled = false; }));
  for (const field of form.querySelectorAll("select, input[type=checkbox]")) {
    field.addEventListener("change", () => form.requestSubmit());
  }
}

// A refresh makes the buttons anew, perhaps just after a click.
let copied = null;

function addCopyButtons() {
  for (const button of document.querySelectorAll("button[data-copy]")) {
    const source = document.getElementById(button.dataset.copy);
    button.hidden = false;
    if (source.textContent === copied) button.textContent = "Copied";
    button.onclick = async () => {
      try {
        await navigator.clipboard.writeText(source.textContent);
        copied = source.textContent;
        addCopyButtons();
      } catch {
        // Browsers give the clipboard to https and to this machine only: then it is selected.
        document.getSelection().selectAllChildren(source);
      }
    };
  }
}

function setUpTimes() {
  const button = document.getElementById("times");
  const show = () => {
    button.setAttribute("aria-pressed", String(clockTimes));
    showTimes();
  };
  button.hidden = false;
  button.onclick = () => {
    clockTimes = !clockTimes;
    stored("times", clockTimes ? "clock" : "age");
    show();
  };
  show();
}

function setUpTheme() {
  const button = document.getElementById("theme");
  const isDark = () => (root.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  button.hidden = false;
  button.onclick = () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    stored("theme", root.dataset.theme);
  };
}

document.addEventListener("keydown", onKey);
setUpFilters();
setUpTimes();
setUpTheme();
addCopyButtons();
setInterval(showTimes, 1000);
if (main.dataset.live) {
  connect();
  // A page that nobody sees takes nothing from the server.
  document.addEventListener("visibilitychange", () => (document.hidden ? disconnect() : connect()));
}
