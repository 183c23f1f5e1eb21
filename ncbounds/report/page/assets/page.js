// The table and opened rows. Sorting, searching, pages, columns and copying are DataTables'.
const data = JSON.parse(document.getElementById("data").textContent);
const source = new Blob([document.getElementById("library").textContent], { type: "text/javascript" });
const url = URL.createObjectURL(source);
const { jQuery } = await import(url);
URL.revokeObjectURL(url);

const make = (tag, properties = {}, ...children) => {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
};

// ---- the table

const dark = matchMedia("(prefers-color-scheme: dark)");
const follow = () => document.documentElement.classList.toggle("dark", dark.matches);
dark.addEventListener("change", follow);
follow();

const plain = new Option(); // escapes what is put into it
const escaped = (text) => ((plain.textContent = text), plain.innerHTML);

const number = (x) => (typeof x === "number" ? x : x === "inf" ? Infinity : x === "-inf" ? -Infinity : NaN);

const style = (row) => (data.vacuous[row] ? "vacuous" : data.kinds[row]);

const columns = data.columns.map((c, place) => ({
  name: c.name,
  title: c.title,
  visible: !c.hidden,
  className: c.right ? "number" : "",
  type: c.raw ? "num" : "string",
  orderSequence: ["asc", "desc", ""],
  render: (row, type) => {
    const text = c.words[c.at[row]];
    if (type === "sort" || type === "type") {
      if (!c.raw) return text;
      const x = number(c.raw[row]);
      return Number.isNaN(x) ? Number.MAX_VALUE : x; // what is undefined stands last
    }
    if (type === "export") return c.raw && c.raw[row] !== "None" ? String(c.raw[row]) : text;
    if (type !== "display") return text;
    if (place) return escaped(text);
    const name = escaped(text || "classifier");
    return `<button class="opener" aria-expanded="false" title="${name.replaceAll('"', "&quot;")}">${name}</button>`;
  },
  createdCell: (cell, _, row) => {
    if (["kind", "value"].includes(c.name)) cell.classList.add(style(row));
  },
}));

const place = Object.fromEntries(data.columns.map((c, i) => [c.name, i]));
const shownColumns = (dt) => dt.columns(":visible").indexes().toArray();
const found = (dt) => dt.rows({ search: "applied", order: "applied" }).indexes().toArray();

const csvCell = (text) => {
  const word = !/^-?[\d.]+(e[-+]?\d+)?$/i.test(text);
  const safe = word && /^\s*[=+\-@\s]/.test(text) ? `'${text}` : text; // no formula for a spreadsheet
  return /[",\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
};
const asCsv = (dt) => {
  const chosen = shownColumns(dt);
  const lines = found(dt).map((row) => chosen.map((c) => csvCell(columns[c].render(row, "export"))).join(","));
  return [chosen.map((c) => data.columns[c].name).join(","), ...lines].join("\n") + "\n";
};

const TEX = { "✓": "$\\checkmark$", "~": "$\\sim$", "\\": "\\textbackslash{}", "^": "\\^{}", "<": "\\textless{}", ">": "\\textgreater{}", "[": "{[}", "]": "{]}", "*": "{*}" };
const tex = (text) => text.replace(/[✓~\\^<>[\]*]|[#_%&{}$]/g, (c) => TEX[c] ?? `\\${c}`);
const asLatex = (dt) => {
  const chosen = shownColumns(dt);
  const line = (cells) => `${cells.map(tex).join(" & ")} \\\\`;
  return [
    "% needs \\usepackage{booktabs,amssymb}",
    `\\begin{tabular}{${chosen.map((c) => (data.columns[c].right ? "r" : "l")).join("")}}`,
    "\\toprule",
    line(chosen.map((c) => data.columns[c].title)),
    "\\midrule",
    ...found(dt).map((row) => line(chosen.map((c) => columns[c].render(row, "filter")))),
    "\\bottomrule",
    "\\end{tabular}",
    "",
  ].join("\n");
};

const table = new jQuery.fn.dataTable("#rows", {
  data: data.kinds.map((_, row) => row),
  columns: columns.map((c) => ({ ...c, data: (row) => row, defaultContent: "" })),
  order: [],
  pageLength: 25,
  lengthMenu: [10, 25, 100, 500],
  autoWidth: false,
  deferRender: true,
  layout: {
    topStart: "search",
    topEnd: {
      buttons: [
        { extend: "colvis", text: "Columns" },
        { extend: "copyHtml5", text: "Copy CSV", title: null, customize: (_, __, dt) => asCsv(dt) },
        { extend: "copyHtml5", text: "Copy LaTeX", title: null, customize: (_, __, dt) => asLatex(dt) },
      ],
    },
    bottomStart: ["info", "pageLength"],
    bottomEnd: "paging",
  },
  language: {
    search: "Text in any column",
    info: "_START_ to _END_ of _TOTAL_ rows",
    infoFiltered: "(of _MAX_)",
    lengthMenu: "_MENU_ a page",
    zeroRecords: "No row matches; take a filter away.",
  },
});
const around = document.querySelector("#rows").parentElement;
Object.assign(around, { tabIndex: 0, role: "region", ariaLabel: "Rows" });

// ---- filters

const filters = document.getElementById("filters");
filters.addEventListener("submit", (event) => event.preventDefault());
for (const name of ["group", "series", "family", "target", "bound", "role"]) {
  const column = data.columns[place[name]];
  if (!column || column.words.length < 2) continue;
  const select = make("select", { name }, make("option", { value: "", textContent: "all" }));
  column.words.forEach((word, i) => select.append(make("option", { value: String(i), textContent: word || "none" })));
  const called = { target: "claim", role: "sample" }[name] ?? name;
  filters.append(make("label", { className: "choice" }, make("span", { textContent: called }), select));
  select.addEventListener("change", () => {
    const at = Number(select.value);
    table.search.fixed(name, select.value === "" ? null : (_, row) => column.at[row] === at).draw();
  });
}

const boxes = [...filters.querySelectorAll("[name=kind]")];
const filterKinds = () => {
  const wanted = new Set(boxes.filter((box) => box.checked).map((box) => box.value));
  table.search.fixed("kind", wanted.size === boxes.length ? null : (_, row) => wanted.has(data.kinds[row])).draw();
};
const guarantees = boxes.filter((box) => ["certificate", "conditional"].includes(box.value));
for (const box of guarantees.length ? guarantees : boxes) box.checked = true;
for (const box of boxes) box.addEventListener("change", filterKinds);
filterKinds();

// ---- an opened row

const roles = ["empirical", "complexity", "confidence"];
const role = (name) => roles.find((r) => name === r) ?? "other";

const terms = (row, opened) => {
  const sum = opened.terms.reduce((total, [, x]) => total + Math.max(x, 0), 0);
  const end = Math.max(sum, 1);
  const bar = make("div", { className: "terms", ariaHidden: "true" });
  for (const [name, x] of opened.terms) {
    const part = make("span", { className: role(name) });
    part.style.width = `${(100 * Math.max(x, 0)) / end}%`;
    bar.append(part);
  }
  const scale = make("div", { className: "scale", ariaHidden: "true" }, make("span", { textContent: end > 3 ? "" : "0" }));
  const one = make("span", { textContent: end > 1 ? "1: empty from here" : "1", className: end > 3 ? "" : "end" });
  one.style.left = `${100 / end}%`;
  if (end > 3) one.style.transform = "none";
  scale.append(one);
  const parts = make("ul", { className: "parts" });
  for (const [name, , text] of opened.terms) {
    parts.append(make("li", {}, make("i", { className: role(name) }), `${name} ${text}`));
  }
  const largest = opened.terms.reduce((a, b) => (b[1] > a[1] ? b : a));
  const why = data.vacuous[row] ? `It is vacuous; the largest term is ${largest[0]}.` : "";
  return [make("h3", { textContent: "What the value is made of" }), bar, scale, parts, ...(why ? [make("p", { textContent: why })] : [])];
};

const SVG = "http://www.w3.org/2000/svg";
const drawn = (tag, attributes, text = "") => {
  const element = document.createElementNS(SVG, tag);
  for (const [name, x] of Object.entries(attributes)) element.setAttribute(name, x);
  element.textContent = text;
  return element;
};

const curve = (row, points) => {
  const own = data.columns[place.n].raw[row];
  const [w, h, left, up] = [380, 110, 40, 24];
  const logs = points.map(([n]) => Math.log(n));
  const values = points.map(([, x]) => x);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const x = (i) => left + ((w - 2 * left) * (logs[i] - logs[0])) / (logs.at(-1) - logs[0] || 1);
  const y = (v) => up + ((h - 2.2 * up) * (high - v)) / (high - low || 1);
  const said = points.map(([n, , text]) => `n = ${n}: ${text}`).join(", ");
  const svg = drawn("svg", { viewBox: `0 0 ${w} ${h}`, class: "curve", role: "img", "aria-label": said });
  svg.append(drawn("path", { d: points.map(([, v], i) => `${i ? "L" : "M"}${x(i)},${y(v)}`).join("") }));
  points.forEach(([n, v, text], i) => {
    svg.append(drawn("circle", { cx: x(i), cy: y(v), r: n === own ? 5 : 3, class: n === own ? "own" : "" }));
    svg.append(drawn("text", { x: x(i), y: y(v) - 8 }, text), drawn("text", { x: x(i), y: h - 4, class: "n" }, `${n}`));
  });
  const note = make("small", { textContent: "By the number of points, what was measured kept as it is; only the large dot is this row." });
  return [make("h3", { textContent: "Restated for another n" }), svg, make("p", {}, note)];
};

const detail = (row) => {
  const opened = data.opened[row];
  const bound = data.columns[place.bound];
  const name = bound.words[bound.at[row]];
  const statement = [...document.querySelectorAll("#statements template")].find((t) => t.dataset.bound === name);
  const left = make("div", {}, make("h3", { textContent: name }));
  if (statement) left.append(statement.content.cloneNode(true));
  else left.append(make("p", { textContent: "This bound is not registered where the page was written." }));
  const right = make("div", {});
  const kind = data.kinds[row];
  right.append(make("h3", { textContent: "This row" }));
  right.append(make("p", { className: style(row), textContent: `${data.marks[kind]} ${kind}${data.vacuous[row] ? ", vacuous" : ""}: ${opened.text}` }));
  if (opened.said) {
    const reasons = make("ul", { className: "reasons" });
    for (const i of opened.said) reasons.append(make("li", { textContent: data.said[i] }));
    right.append(reasons);
  }
  if (opened.terms) right.append(...terms(row, opened));
  if (opened.curve) right.append(...curve(row, opened.curve));
  if (opened.details) {
    const list = make("dl");
    for (const [key, text] of opened.details) list.append(make("dt", { textContent: key }), make("dd", { textContent: text }));
    right.append(make("h3", { textContent: "Choices and diagnostics" }), list);
  }
  if (opened.where !== undefined) {
    const where = make("pre", { className: "where", textContent: data.where[opened.where] });
    right.append(make("details", {}, make("summary", { textContent: "Where it comes from" }), where));
  }
  return make("div", { className: "opened" }, left, right);
};

document.querySelector("#rows tbody").addEventListener("click", (event) => {
  const line = event.target.closest("tr");
  if (!line || line.classList.contains("child") || event.target.closest(".child")) return;
  const row = table.row(line);
  if (!row.any()) return;
  const open = !row.child.isShown();
  if (open) row.child(detail(row.data()), "child").show();
  else row.child.hide();
  line.classList.toggle("open", open);
  line.querySelector(".opener")?.setAttribute("aria-expanded", String(open));
});
