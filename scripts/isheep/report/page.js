"use strict";
// Generated text enters the page by textContent alone: nothing of it is ever read as HTML.
const byId = (id) => document.getElementById(id);
const make = (tag, text, className) => {
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text;
  if (className) element.className = className;
  return element;
};

// Theme -------------------------------------------------------------------------------------------------------------
const root = document.documentElement;
const isDark = () => (root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
const remember = (theme) => { try { localStorage.setItem("isheep-theme", theme); } catch { /* not allowed for a file */ } };
const remembered = () => { try { return localStorage.getItem("isheep-theme"); } catch { return null; } };
const button = byId("theme");
const nameButton = () => {
  button.textContent = isDark() ? "Light" : "Dark";
  button.setAttribute("aria-label", `Change to ${isDark() ? "light" : "dark"} colours`);
};
if (remembered()) root.dataset.theme = remembered();
button.hidden = false;
nameButton();
button.addEventListener("click", () => {
  root.dataset.theme = isDark() ? "light" : "dark";
  remember(root.dataset.theme);
  nameButton();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", nameButton);

// Numbers beside the pointer ----------------------------------------------------------------------------------------
const tip = byId("tip");
document.addEventListener("pointermove", (event) => {
  const inside = event.target.closest?.(".chart svg");
  const mark = inside && event.target.closest("[aria-label]:not([aria-roledescription~='axis']):not([aria-roledescription~='legend'])");
  tip.hidden = !mark || !inside.contains(mark);
  if (tip.hidden) return;
  tip.textContent = mark.getAttribute("aria-label");
  tip.style.left = `${Math.max(4, Math.min(event.clientX + 12, innerWidth - tip.offsetWidth - 8))}px`;
  tip.style.top = `${Math.min(event.clientY + 14, innerHeight - tip.offsetHeight - 8)}px`;
});

// Everything folded away is opened for paper ------------------------------------------------------------------------
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((one) => { one.open = true; }));

// Samples -----------------------------------------------------------------------------------------------------------
// A row: id, round, stage, rule (-1: kept), instruction, input, output, scores, further fields.
const ID = 0, ROUND = 1, STAGE = 2, RULE = 3, TEXTS = [4, 5, 6], SCORES = 7, MORE = 8;
const PAGE = 20;
// What shows nothing, or turns the text around it, is shown by its number.
const HIDDEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;
const visible = (text) => text.replace(HIDDEN, (letter) => `\u27e8U+${letter.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}\u27e9`);

function browse(data) {
  const rows = data.rows;
  let found = rows, page = 0;
  const haystacks = new Array(rows.length);
  const haystack = (place) => (haystacks[place] ??= [rows[place][ID], ...TEXTS.map((at) => rows[place][at])].join("\n").toLowerCase());

  const fill = (id, options) => byId(id).replaceChildren(...options.map(([value, text]) => Object.assign(make("option", text), { value })));
  const rounds = [...new Set(rows.map((row) => row[ROUND]))].sort((a, b) => a - b);
  fill("round", [["", "all"], ...rounds.map((i) => [i, `d_${i}`])]);
  fill("stage", [["", "all"], ...data.stages.map((stage, place) => [place, stage])]);
  fill("rule", [["", "all"], ...data.rules.map((rule, place) => [place, rule])]);
  fill("order", [["", "as made"], ...data.scores.flatMap((name, place) => [[`${place} -1`, `${name}, highest first`], [`${place} 1`, `${name}, lowest first`]])]);

  const sample = (row) => {
    const article = make("article", undefined, "sample");
    const head = make("h4");
    head.append(make("code", visible(row[ID])), make("span", `d_${row[ROUND]}`));
    const kept = row[RULE] < 0;
    head.append(make("span", kept ? "kept" : `rejected: ${visible(data.rules[row[RULE]])}`, `fate ${kept ? "kept" : "rejected"}`));
    if (!kept) head.append(make("span", `by ${data.stages[row[STAGE]]}`));
    row[SCORES].forEach((score, place) => { if (score !== null) head.append(make("span", `${data.scores[place]} ${typeof score === "number" ? +score.toPrecision(4) : visible(String(score))}`)); });
    const list = make("dl");
    ["instruction", "input", "output"].forEach((name, place) => {
      const text = row[TEXTS[place]];
      if (!text && name !== "instruction") return;
      const shown = make("dd", visible(text));
      shown.dir = "auto";
      list.append(make("dt", name), shown);
    });
    const more = data.more.map((name, place) => [name, row[MORE][place]]).filter(([, value]) => value !== null && value !== "");
    if (more.length) list.append(make("dt", "more"), make("dd", more.map(([name, value]) => `${visible(name)}: ${visible(String(value))}`).join("  \u00b7  "), "more"));
    article.append(head, list);
    return article;
  };

  const draw = () => {
    const pages = Math.max(1, Math.ceil(found.length / PAGE));
    page = Math.min(Math.max(page, 0), pages - 1);
    byId("rows").replaceChildren(...found.slice(page * PAGE, (page + 1) * PAGE).map(sample));
    byId("found").textContent = `${found.length.toLocaleString("en")} of ${rows.length.toLocaleString("en")} rows match`;
    byId("place").textContent = `page ${page + 1} of ${pages}`;
    byId("previous").disabled = page === 0;
    byId("next").disabled = page === pages - 1;
  };

  const filter = () => {
    const words = byId("search").value.toLowerCase();
    const [round, fate, stage, rule] = ["round", "fate", "stage", "rule"].map((id) => byId(id).value);
    found = rows.filter((row, place) =>
      (round === "" || row[ROUND] === +round) &&
      (fate === "" || (row[RULE] < 0) === (fate === "kept")) &&
      (stage === "" || row[STAGE] === +stage) &&
      (rule === "" || row[RULE] === +rule) &&
      (words === "" || haystack(place).includes(words)));
    if (byId("order").value) {
      const [place, sign] = byId("order").value.split(" ").map(Number);
      const score = (row) => (typeof row[SCORES][place] === "number" ? row[SCORES][place] * sign : Infinity);
      found.sort((a, b) => score(a) - score(b) || 0);
    }
    page = 0;
    draw();
  };

  const turn = (by) => { page += by; draw(); byId("samples").scrollIntoView(); };
  let waiting;
  byId("search").addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(filter, 120); });
  for (const id of ["round", "fate", "stage", "rule", "order"]) byId(id).addEventListener("change", filter);
  byId("filters").addEventListener("submit", (event) => { event.preventDefault(); filter(); });
  byId("previous").addEventListener("click", () => turn(-1));
  byId("next").addEventListener("click", () => turn(1));

  const everything = rows.length === data.total;
  const count = (n) => n.toLocaleString("en");
  byId("shown-of").textContent = everything
    ? `Every row of the run (${count(data.total)}), where its way ended: kept, or rejected by a rule. Text is shown as it was made; letters that show nothing are named by number.`
    : `Showing ${count(rows.length)} of ${count(data.total)} rows, those first by a hash of their ids (report.samples): kept, or rejected by a rule. Letters that show nothing are named by number.`;
  byId("filters").hidden = byId("pager").hidden = rows.length === 0;
  filter();
}
if (byId("data")) browse(JSON.parse(byId("data").textContent));
