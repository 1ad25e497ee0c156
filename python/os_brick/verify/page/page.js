// SPDX-License-Identifier: Apache-2.0
// Asks the service again and again, and shows what changed.  The token lives in this tab: sessionStorage, nowhere else.

import { connections, element, findingCard, tiles, volumeCard } from "./tree.js";

const EVERY = 3000;
const PATIENCE = 15000;
const KEY = "os-brick-verify-token";
const by = (id) => document.getElementById(id);
const state = { token: sessionStorage.getItem(KEY), paused: false, shown: "", data: null, live: null, timer: 0, turn: 0, since: null, base: null };

class Refused extends Error {}

async function ask(path, patience = PATIENCE) {
  const answer = await fetch(path, {
    headers: { Authorization: `Bearer ${state.token}` }, credentials: "omit", redirect: "error",
    signal: AbortSignal.timeout(patience),
  });
  const found = await answer.json();
  if (answer.status === 401) throw new Refused(found.detail);
  if (!answer.ok) throw new Error(found.detail);
  return found;
}

function setStatus(name, text) {
  by("status").dataset.state = name;
  by("status-text").textContent = text;
}

const clock = () => new Date().toLocaleTimeString([], { hour12: false });

// Puts new elements in, and leaves open what was open and the focus where it was.
function replace(place, made) {
  const focused = place.contains(document.activeElement) ? document.activeElement.closest("[data-key]")?.dataset.key : null;
  const was = new Map([...place.querySelectorAll("details")].map((one) => [one.dataset.key, one.open]));
  place.replaceChildren(...made);
  for (const one of place.querySelectorAll("details")) {
    if (was.has(one.dataset.key)) one.open = was.get(one.dataset.key);
    if (focused && one.dataset.key === focused) one.querySelector("summary").focus({ preventScroll: true });
  }
}

function note(orphans) {
  if (!orphans.live) return "The disks were not asked what they are; a reused LUN stays unseen until they are.";
  const silent = orphans.silent.map((one) => `${one.device} did not say what it is: ${one.reason}.`);
  return [`The disks were asked at ${state.live.at}.`, ...silent].join(" ");
}

function showVolumes() {
  const wanted = by("filter").value.trim().toLowerCase();
  const all = state.data.inventory.volumes;
  const some = wanted ? all.filter((volume) => JSON.stringify(volume).toLowerCase().includes(wanted)) : all;
  const empty = all.length ? `No volume with “${by("filter").value.trim()}”.` : "Nothing is attached to this host.";
  replace(by("volumes"), some.length ? some.map(volumeCard) : [element("p", { class: "card empty" }, empty)]);
}

function show(data) {
  const text = JSON.stringify(data);
  if (text === state.shown) return;
  const before = state.data;
  state.shown = text;
  state.data = data;
  by("host").textContent = data.host.host;
  document.title = `${data.host.host} – os-brick verify`;
  by("subtitle").textContent = data.host.captured ? "A captured tree" : data.host.root ? "Seen as root" : "Seen without root’s rights";
  by("ask").hidden = !data.host.root;
  const { inventory, orphans } = data;
  by("summary").replaceChildren(...tiles(inventory, orphans.findings));
  by("findings-note").textContent = note(orphans);
  replace(by("findings"), orphans.findings.length ? orphans.findings.map(findingCard)
    : [element("p", { class: "card empty", "data-tone": "good" }, "Nothing is left behind.")]);
  showVolumes();
  replace(by("connections"), connections(inventory));
  if (before) by("news").textContent = `${inventory.volumes.length} volumes, ${orphans.findings.length} findings`;
}

function lost(reason) {
  setStatus("lost", "No answer");
  by("banner").textContent = `No answer since ${state.since ?? "the page was opened"}: ${reason}. Trying again.`;
  by("banner").hidden = false;
  by("view").classList.add("stale");
}

async function refresh() {
  clearTimeout(state.timer);
  const turn = ++state.turn;
  try {
    const [host, inventory, orphans] = await Promise.all(["/v1/host", "/v1/inventory", "/v1/orphans"].map((path) => ask(path)));
    if (turn !== state.turn) return;
    // What the disks said holds until the host changes.
    state.base = JSON.stringify(orphans);
    if (state.live && state.live.base !== state.base) state.live = null;
    enter();
    show({ host, inventory, orphans: state.live ? state.live.found : orphans });
    state.since = clock();
    by("banner").hidden = true;
    by("view").classList.remove("stale");
    setStatus(state.paused ? "paused" : "live", state.paused ? `Paused at ${state.since}` : `Live, ${state.since}`);
  } catch (error) {
    if (turn !== state.turn) return;
    if (error instanceof Refused) return leave("The service does not know this token.");
    if (by("view").hidden) return leave(`No answer: ${error.message}`);
    lost(error.message);
  }
  if (!state.paused && !document.hidden) state.timer = setTimeout(refresh, EVERY);
}

function enter() {
  if (!by("login").hidden) {
    by("main").focus();
    by("token").value = "";
  }
  sessionStorage.setItem(KEY, state.token);
  by("login").hidden = true;
  by("view").hidden = by("controls").hidden = false;
}

function leave(reason) {
  clearTimeout(state.timer);
  state.turn += 1;
  sessionStorage.removeItem(KEY);
  Object.assign(state, { token: null, shown: "", data: null, live: null, since: null });
  by("view").hidden = by("controls").hidden = true;
  by("login").hidden = false;
  by("host").textContent = document.title = "os-brick verify";
  by("subtitle").textContent = "What is attached to this host";
  by("token").value = "";
  by("login-error").textContent = reason;
  by("token").focus();
  for (const place of ["summary", "findings", "volumes", "connections"]) by(place).replaceChildren();
}

by("login").addEventListener("submit", (event) => {
  event.preventDefault();
  state.token = by("token").value.trim();
  by("login-error").textContent = "";
  // What no header can carry is no token.
  if (!/^[\x21-\x7e]+$/.test(state.token)) return leave("A token has letters, digits and ._~+/- only.");
  refresh();
});
by("leave").addEventListener("click", () => leave(""));
by("pause").addEventListener("click", () => {
  state.paused = !state.paused;
  by("pause").textContent = state.paused ? "Go on" : "Pause";
  by("pause").setAttribute("aria-pressed", String(state.paused));
  if (state.paused) {
    clearTimeout(state.timer);
    setStatus("paused", `Paused at ${state.since}`);
  } else {
    refresh();
  }
});
by("ask").addEventListener("click", async () => {
  by("ask").disabled = true;
  by("ask").textContent = "Asking the disks";
  try {
    state.live = { found: await ask("/v1/orphans?live=true", 90000), at: clock(), base: state.base };
    refresh();
  } catch (error) {
    by("findings-note").textContent = `The disks were not asked: ${error.message}`;
  }
  by("ask").disabled = false;
  by("ask").textContent = "Ask the disks";
});
by("filter").addEventListener("input", () => state.data && showVolumes());
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const text = button.previousElementSibling;
  try {
    await navigator.clipboard.writeText(text.textContent);
    button.textContent = "Copied";
  } catch {
    // Without https there is no clipboard: what is selected can be copied by hand.
    getSelection().selectAllChildren(text);
    button.textContent = "Selected";
  }
});
document.addEventListener("visibilitychange", () => { if (!document.hidden && state.data && !state.paused) refresh(); });

if (state.token) refresh(); else by("token").focus();
