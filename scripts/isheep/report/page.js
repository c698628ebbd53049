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

// Browsers of samples and answers ------------------------------------------------------------------------------------
// A row: id, its option of each filter (-1: none), [name, text] pairs, scores, further fields, columns side by side.
const ID = 0, CHOICES = 1, TEXTS = 2, SCORES = 3, MORE = 4, COLUMNS = 5;
const PAGE = 20;
// What shows nothing, or turns the text around it, is shown by its number.
const HIDDEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;
const visible = (text) => text.replace(HIDDEN, (letter) => `\u27e8U+${letter.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}\u27e9`);
const counted = (n) => n.toLocaleString("en");

function browse(id, data) {
  const place = byId(`${id}-browser`), inside = (part) => place.querySelector(part), what = place.dataset.what;
  const rows = data.rows;
  let found = rows, page = 0;
  const haystacks = new Array(rows.length);
  const haystack = (at) => (haystacks[at] ??= [rows[at][ID], ...rows[at][TEXTS].map(([, text]) => text),
    ...rows[at][COLUMNS].flatMap(([, , , , texts]) => texts.map(([, text]) => text))].join("\n").toLowerCase());

  const select = (name, options) => {
    const field = Object.assign(make("select"), { name });
    field.append(...options.map(([value, text]) => Object.assign(make("option", text), { value })));
    field.addEventListener("change", filter);
    const label = make("label", `${name} `);
    label.append(field);
    inside(".filters").append(label);
    return field;
  };

  const number = (value) => (typeof value === "number" ? String(+value.toPrecision(4)) : visible(String(value)));
  const listed = (texts) => {
    const list = make("dl");
    for (const [name, text] of texts) {
      const shown = make("dd", visible(text));
      shown.dir = "auto";
      list.append(make("dt", visible(name)), shown);
    }
    return list;
  };
  const further = (list, more) => {
    if (more.length) list.append(make("dt", "more"), make("dd", more.map(([name, value]) => `${visible(name)}: ${number(value)}`).join("  \u00b7  "), "more"));
  };
  const side = ([title, result, tone, score, texts, more]) => {
    const part = make("section", undefined, "side"), head = make("h5", `${visible(title)} `);
    if (score !== null) head.append(make("span", `score ${number(score)} `));
    if (result) head.append(make("span", result, `tone ${tone}`));
    const list = listed(texts);
    further(list, more);
    part.append(head, list);
    return part;
  };
  const card = (row) => {
    const article = make("article", undefined, "card");
    const head = make("h4");
    head.append(make("code", visible(row[ID])));
    row[CHOICES].forEach((choice, at) => {
      if (choice < 0) return;
      const { name, options, tones } = data.filters[at];
      head.append(tones.some(Boolean) ? make("span", options[choice], `tone ${tones[choice]}`) : make("span", `${name} ${visible(options[choice])}`));
    });
    if (!row[COLUMNS].length) row[SCORES].forEach((score, at) => { if (score !== null) head.append(make("span", `${data.scores[at]} ${number(score)}`)); });
    const list = listed(row[TEXTS].map(([name, text]) => [data.texts[name], text]));
    const more = data.more.map((name, at) => [name, row[MORE][at]]).filter(([, value]) => value !== null && value !== "");
    further(list, more);
    article.append(head, list);
    if (row[COLUMNS].length) {
      const sides = make("div", undefined, "sides");
      sides.append(...row[COLUMNS].map(side));
      article.append(sides);
    }
    return article;
  };

  const draw = () => {
    const pages = Math.max(1, Math.ceil(found.length / PAGE));
    page = Math.min(Math.max(page, 0), pages - 1);
    inside(".cards").replaceChildren(...found.slice(page * PAGE, (page + 1) * PAGE).map(card));
    inside(".found").textContent = `${counted(found.length)} of ${counted(rows.length)} ${what} match`;
    inside(".place").textContent = `page ${page + 1} of ${pages}`;
    inside(".previous").disabled = page === 0;
    inside(".next").disabled = page === pages - 1;
  };

  function filter() {
    const words = inside("[type=search]").value.toLowerCase();
    const wanted = fields.map((field, at) => [at, field.value]).filter(([, value]) => value !== "");
    found = rows.filter((row, at) => wanted.every(([which, value]) => row[CHOICES][which] === +value) && (words === "" || haystack(at).includes(words)));
    if (order.value) {
      const [which, sign] = order.value.split(" ").map(Number);
      const score = (row) => (typeof row[SCORES][which] === "number" ? row[SCORES][which] * sign : Infinity);
      found.sort((a, b) => score(a) - score(b) || 0);
    }
    page = 0;
    draw();
  }

  const fields = data.filters.map(({ name, options }) => select(name, [["", "all"], ...options.map((option, at) => [at, visible(option)])]));
  const order = select("order", [["", "as made"], ...data.scores.flatMap((name, at) => [[`${at} -1`, `${name}, highest first`], [`${at} 1`, `${name}, lowest first`]])]);
  const turn = (by) => { page += by; draw(); byId(id).scrollIntoView(); };
  let waiting;
  inside("[type=search]").addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(filter, 120); });
  inside(".filters").addEventListener("submit", (event) => { event.preventDefault(); filter(); });
  inside(".previous").addEventListener("click", () => turn(-1));
  inside(".next").addEventListener("click", () => turn(1));
  // Links elsewhere on the page that lead here with filters set: data-browse="samples" data-filters='{"rule": "x"}'.
  for (const link of document.querySelectorAll(`[data-browse="${id}"]`)) {
    const wanted = JSON.parse(link.dataset.filters);
    link.addEventListener("click", () => {
      inside("[type=search]").value = "";
      data.filters.forEach(({ name, options }, at) => {
        const place = name in wanted ? options.indexOf(wanted[name]) : -1;
        fields[at].value = place < 0 ? "" : place;
      });
      filter();
    });
  }

  byId(`${id}-shown`).textContent = rows.length === data.total
    ? `All ${counted(data.total)} ${what} of the run. Letters that show nothing are named by number.`
    : `Showing ${counted(rows.length)} of ${counted(data.total)} ${what}, those first by a hash of their ids (report.${id}). Letters that show nothing are named by number.`;
  place.hidden = rows.length === 0;
  filter();
}
for (const data of document.querySelectorAll("[data-browser]")) browse(data.dataset.browser, JSON.parse(data.textContent));
