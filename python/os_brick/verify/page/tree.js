// SPDX-License-Identifier: Apache-2.0
// Draws what the service says.  Names that storage chose become text, never markup.

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

export function size(bytes) {
  if (bytes === null) return "size unknown";
  let amount = bytes, unit = 0;
  while (amount >= 1024 && unit < UNITS.length - 1) { amount /= 1024; unit += 1; }
  return `${unit ? amount.toFixed(1) : amount} ${UNITS[unit]}`;
}

// An element with attributes and children; children that are null are left out.
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined) made.setAttribute(key, value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return made;
}

const words = (kind) => kind.replaceAll("_", " ");
const pill = (text, tone) => element("span", { class: "pill", "data-tone": tone }, text);
const chip = (text) => element("span", { class: "chip" }, text);

function row(name, kind, state, ...what) {
  return element("div", { class: "row" },
    name && element("span", { class: "name" }, name), kind && element("span", { class: "kind" }, kind), state,
    ...[...new Set(what)].filter(Boolean).map((text) => element("span", { class: "what" }, text)));
}

function path(one) {
  const { transport, target, portal, name, state } = one.connection;
  const said = [one.state, state].filter(Boolean).join(", ") || "unknown";
  return element("li", {}, row(one.device, transport, pill(`${one.usable ? "up" : "down"}: ${said}`, one.usable ? "good" : "bad"),
    portal, name, one.address, target));
}

function consumer(one) {
  const above = one.consumers.map(consumer);
  return element("li", {}, row(one.device, one.kind, null, one.name,
    ...one.mounts.map((point) => `mounted on ${point}`), one.open_count ? `open ${one.open_count}x` : null),
    above.length ? element("ul", {}, above) : null);
}

// How a volume is, in a word and a tone.
export function health(volume) {
  const up = volume.paths.filter((one) => one.usable).length, all = volume.paths.length;
  if (!all) return ["no paths", "bad"];
  if (up === 0) return [`0 of ${all} paths up`, "bad"];
  return [all === 1 ? "1 path up" : `${up} of ${all} paths up`, up < all ? "warn" : "good"];
}

function leaf(kind, text) {
  return element("li", {}, row(null, kind, null, text));
}

export function volumeCard(volume) {
  const [text, tone] = health(volume);
  const transports = [...new Set(volume.paths.map((one) => one.connection.transport))].sort();
  const known = [volume.name, volume.identity].filter(Boolean);
  return element("details", { class: "card volume", "data-key": `volume ${volume.device}`, open: tone === "good" ? null : "" },
    element("summary", {},
      element("div", { class: "title" }, element("h3", { class: "mono" }, volume.device),
        element("p", { class: "mono" }, [...new Set(known)].join(" · ") || "no identity")),
      element("div", { class: "facts" }, chip(size(volume.size)), ...transports.map(chip), chip(volume.kind), pill(text, tone))),
    element("div", { class: "inside" },
      element("ul", { class: "tree" },
        volume.paths.length ? volume.paths.map(path) : leaf("paths", "none: nothing leads to this volume any more"),
        volume.links.map((link) => leaf("link", link)),
        volume.mounts.map((point) => leaf("mount", point)),
        volume.consumers.map(consumer))));
}

export function findingCard(finding) {
  const commands = finding.commands.join("\n");
  return element("details", { class: "card finding", "data-key": `finding ${finding.kind} ${finding.subject}` },
    element("summary", {},
      element("div", { class: "title" }, element("h3", { class: "mono" }, finding.subject), element("p", {}, finding.risk)),
      element("div", { class: "facts" }, pill(words(finding.kind), "bad"))),
    element("div", { class: "inside" },
      element("dl", { class: "evidence" },
        finding.evidence.flatMap((seen) => [element("dt", {}, seen.place), element("dd", {}, seen.value)])),
      commands ? element("div", { class: "commands" }, element("pre", {}, commands),
        element("button", { type: "button", class: "small", "data-copy": "" }, "Copy")) : null));
}

function table(caption, head, rows) {
  const cells = (row) => row.map((cell, at) => at === 0
    ? element("th", { scope: "row", class: "mono" }, cell) : element("td", { "data-label": head[at] }, cell));
  return element("div", { class: "card" }, element("table", {}, element("caption", {}, caption),
    element("thead", {}, element("tr", {}, head.map((text) => element("th", { scope: "col" }, text)))),
    element("tbody", {}, rows.map((row) => element("tr", {}, cells(row))))));
}

const stated = (state, good) => pill(state ?? "unknown", state === good ? "good" : "bad");
const mono = (text) => element("span", { class: "mono" }, text);
const list = (names) => names.length ? mono(names.join(" ")) : pill("none", "warn");

export function connections(inventory) {
  const made = [];
  if (inventory.sessions.length) {
    made.push(table("iSCSI sessions", ["Session", "State", "Portal", "Target", "Disks"], inventory.sessions.map((one) => [
      `session${one.sid}`, stated(one.state, "LOGGED_IN"), mono(one.portal ?? "unknown"), mono(one.target), list(one.disks)])));
  }
  if (inventory.controllers.length) {
    made.push(table("NVMe controllers", ["Controller", "State", "Portal", "Subsystem", "Namespaces"], inventory.controllers.map((one) => [
      one.name, stated(one.state, "live"), mono(`${one.transport} ${one.portal}`), mono(one.subsystem ?? "unknown"),
      one.discovery ? pill("discovery", "soft") : list(one.namespaces)])));
  }
  return made.length ? made : [element("p", { class: "card empty" }, "No session and no controller.")];
}

export function tiles(inventory, findings) {
  const paths = inventory.volumes.flatMap((volume) => volume.paths);
  const up = paths.filter((one) => one.usable).length;
  const number = inventory.sessions.length + inventory.controllers.length;
  return [["Volumes", inventory.volumes.length, null],
    ["Paths up", `${up} / ${paths.length}`, up < paths.length ? "warn" : "good"],
    ["Connections", number, null],
    ["Findings", findings.length, findings.length ? "bad" : "good"]].map(([name, value, tone]) =>
    element("div", { class: "card tile", "data-tone": tone }, element("dt", {}, name), element("dd", {}, String(value))));
}
