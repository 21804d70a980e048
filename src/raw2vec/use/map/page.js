"use strict";
// The map: points by WebGL (or canvas where there is none), a grid to find the one under the pointer, and the panel.
const data = JSON.parse(document.getElementById("data").textContent);
const element = (id) => document.getElementById(id);
const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
const numbers = (text, Kind) => new Kind(bytes(text).buffer);
const n = data.count, k = data.k;
const quantised = numbers(data.points, Uint16Array);
const points = Float32Array.from(quantised, (value) => value / 65535);
const neighbours = numbers(data.neighbours, Uint32Array);
const cosines = numbers(data.cosines, Int16Array);

// -- colours: Okabe and Ito's, told apart by colour-blind eyes too, then others; numbers by a scale of one hue to another
const PALETTE = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#8c6bb1", "#7f7f00", "#00808a", "#b5495b",
  "#4b7f52", "#a0703c", "#5566aa", "#c2a500", "#6f4e7c", "#3d9970"];
const OTHER = "#9a9aa2";
const SCALE = [[68, 62, 133], [49, 104, 142], [33, 145, 140], [94, 201, 98], [240, 220, 60]];
const rgb = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
function scaled(share) {
  const at = Math.min(share, 0.9999) * (SCALE.length - 1), low = Math.floor(at);
  return SCALE[low].map((value, c) => Math.round(value + (SCALE[low + 1][c] - value) * (at - low)));
}
const plain = { name: "one colour", kind: "none" };
const colourings = [...data.colours, plain];
for (const one of data.colours) {
  one.values = numbers(one.values, one.kind === "number" ? Float32Array : Uint16Array);
}
const labelled = (i) => data.colours.filter((one) => one.kind === "label").map((one) => `${one.name}: ${one.names[one.values[i]]}`);
const lowered = data.texts.map((text, i) => [text, data.names[i], ...labelled(i)].join(" ").toLowerCase());
let colouring = colourings[0], wanted = null, selected = -1, hovered = -1;
function colourOf(i) {
  if (colouring.kind === "none") return rgb(PALETTE[0]);
  if (colouring.kind === "number") {
    const share = (colouring.values[i] - colouring.low) / (colouring.high - colouring.low || 1);
    return Number.isNaN(share) ? rgb(OTHER) : scaled(share);
  }
  const place = colouring.values[i];
  return rgb(place < PALETTE.length ? PALETTE[place] : OTHER);
}
const shades = new Uint8Array(4 * n);
function shade() {
  for (let i = 0; i < n; i++) {
    const dim = wanted && !wanted[i];
    shades.set(colourOf(i), 4 * i);
    shades[4 * i + 3] = dim ? 22 : 215;
  }
}

// -- the plane: where a point stands on the screen, and what is drawn there
const canvas = element("points");
const view = { scale: 1, x: 0.5, y: 0.5 };
let width = 1, height = 1, side = 1, dots = 1;
const toScreen = (i) => [width / 2 + (points[2 * i] - view.x) * side * view.scale,
  height / 2 - (points[2 * i + 1] - view.y) * side * view.scale];
const toPlane = (x, y) => [view.x + (x - width / 2) / (side * view.scale), view.y - (y - height / 2) / (side * view.scale)];
const size = () => Math.min(14, Math.max(2.5, (n > 20000 ? 3 : n > 3000 ? 4.5 : 7) * Math.sqrt(Math.sqrt(view.scale))));

const VERTEX = `attribute vec2 point; attribute vec4 shade; uniform vec4 view; uniform float size; varying vec4 colour;
void main() { gl_Position = vec4((point - view.xy) * view.zw, 0.0, 1.0); gl_PointSize = size; colour = shade; }`;
const FRAGMENT = `precision mediump float; varying vec4 colour;
void main() { float far = length(gl_PointCoord - 0.5) * 2.0; float edge = 1.0 - smoothstep(0.8, 1.0, far);
gl_FragColor = vec4(colour.rgb, colour.a) * edge; gl_FragColor.rgb *= colour.a; }`;

function withWebGL() {
  const gl = canvas.getContext("webgl", { premultipliedAlpha: true, antialias: false });
  if (!gl) return null;
  const program = gl.createProgram();
  for (const [kind, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
    const made = gl.createShader(kind);
    gl.shaderSource(made, source);
    gl.compileShader(made);
    gl.attachShader(program, made);
  }
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS)) return null;
  gl.useProgram(program);
  const buffer = (name, values, parts, kind, normalised) => {
    const made = gl.createBuffer(), at = gl.getAttribLocation(program, name);
    gl.bindBuffer(gl.ARRAY_BUFFER, made);
    gl.bufferData(gl.ARRAY_BUFFER, values, gl.DYNAMIC_DRAW);
    gl.enableVertexAttribArray(at);
    gl.vertexAttribPointer(at, parts, kind, normalised, 0, 0);
    return made;
  };
  buffer("point", points, 2, gl.FLOAT, false);
  const colours = buffer("shade", shades, 4, gl.UNSIGNED_BYTE, true);
  const place = gl.getUniformLocation(program, "view"), large = gl.getUniformLocation(program, "size");
  gl.enable(gl.BLEND);
  gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
  return {
    name: "webgl",
    shaded() { gl.bindBuffer(gl.ARRAY_BUFFER, colours); gl.bufferSubData(gl.ARRAY_BUFFER, 0, shades); },
    draw() {
      gl.viewport(0, 0, canvas.width, canvas.height);
      gl.clearColor(0, 0, 0, 0);
      gl.clear(gl.COLOR_BUFFER_BIT);
      gl.uniform4f(place, view.x, view.y, 2 * side * view.scale / width, 2 * side * view.scale / height);
      gl.uniform1f(large, size() * dots);
      gl.drawArrays(gl.POINTS, 0, n);
    },
  };
}

function withCanvas() {
  const pen = canvas.getContext("2d");
  return {
    name: "canvas",
    shaded() {},
    draw() {
      pen.setTransform(dots, 0, 0, dots, 0, 0);
      pen.clearRect(0, 0, width, height);
      const across = size();
      for (let i = 0; i < n; i++) {
        const [x, y] = toScreen(i);
        if (x < -9 || y < -9 || x > width + 9 || y > height + 9) continue;
        pen.fillStyle = `rgba(${shades[4 * i]},${shades[4 * i + 1]},${shades[4 * i + 2]},${shades[4 * i + 3] / 255})`;
        pen.beginPath();
        pen.arc(x, y, across / 2, 0, 7);
        pen.fill();
      }
    },
  };
}
shade();
const painter = withWebGL() || withCanvas();
document.body.dataset.painter = painter.name;

// -- rings about what is selected and what is near it lie over the canvas
const rings = document.createElementNS("http://www.w3.org/2000/svg", "svg");
rings.setAttribute("style", "position:absolute;inset:0;width:100%;height:100%;pointer-events:none");
element("plane").append(rings);
function ring(i, wide, radius) {
  const [x, y] = toScreen(i);
  return `<circle cx="${x}" cy="${y}" r="${radius}" fill="none" stroke="var(--ink)" stroke-width="${wide}"/>`;
}
let asked = false;
function draw() {
  if (asked) return;
  asked = true;
  requestAnimationFrame(() => {
    asked = false;
    painter.draw();
    const around = size() / 2;
    const near = selected < 0 ? [] : Array.from(neighbours.subarray(k * selected, k * selected + k));
    rings.innerHTML = near.map((i) => ring(i, 1, around + 3)).join("")
      + (selected < 0 ? "" : ring(selected, 2.5, around + 5)) + (hovered < 0 ? "" : ring(hovered, 1.5, around + 2));
  });
}
function fit() {
  const box = element("plane").getBoundingClientRect();
  dots = window.devicePixelRatio || 1;
  width = Math.max(box.width, 1); height = Math.max(box.height, 1); side = Math.min(width, height) * 0.92;
  canvas.width = Math.round(width * dots); canvas.height = Math.round(height * dots);
  draw();
}

// -- which point is under the pointer: a grid over the plane, its cells' points one after the other
const CELLS = Math.max(1, Math.min(256, Math.floor(Math.sqrt(n / 2))));
const cellOf = (x) => Math.min(CELLS - 1, Math.max(0, Math.floor(x * CELLS)));
const starts = new Uint32Array(CELLS * CELLS + 1), inCells = new Uint32Array(n);
for (let i = 0; i < n; i++) starts[cellOf(points[2 * i]) * CELLS + cellOf(points[2 * i + 1]) + 1]++;
for (let c = 0; c < CELLS * CELLS; c++) starts[c + 1] += starts[c];
const next = starts.slice();
for (let i = 0; i < n; i++) inCells[next[cellOf(points[2 * i]) * CELLS + cellOf(points[2 * i + 1])]++] = i;
function pick(x, y, reach = 14) {
  const [px, py] = toPlane(x, y), far = reach / (side * view.scale);
  let best = -1, least = far * far;
  for (let cx = cellOf(px - far); cx <= cellOf(px + far); cx++) {
    for (let cy = cellOf(py - far); cy <= cellOf(py + far); cy++) {
      for (let at = starts[cx * CELLS + cy]; at < starts[cx * CELLS + cy + 1]; at++) {
        const i = inCells[at], dx = points[2 * i] - px, dy = points[2 * i + 1] - py, apart = dx * dx + dy * dy;
        if (apart < least && !(wanted && !wanted[i])) { best = i; least = apart; }
      }
    }
  }
  return best;
}

// -- what an item looks like
function words(text, kind = "words") {
  const made = document.createElement("p");
  made.className = kind;
  made.textContent = text;
  return made;
}
function thumbnail(i, across) {
  const { wide, high, columns, rows, sheets, drawn } = data.thumbnails, here = i % (columns * rows);
  const times = across / wide, made = document.createElement("span");
  made.className = drawn ? "thumb drawn" : "thumb";
  const sheet = Math.floor(i / (columns * rows)), filled = Math.ceil(Math.min(n - sheet * columns * rows, columns * rows) / columns);
  Object.assign(made.style, {
    width: `${across}px`, height: `${high * times}px`, backgroundImage: `url(${sheets[sheet]})`,
    backgroundSize: `${columns * wide * times}px ${filled * high * times}px`,
    backgroundPosition: `${-(here % columns) * wide * times}px ${-Math.floor(here / columns) * high * times}px`,
  });
  return made;
}
function parts(i, across) {
  const made = data.thumbnails ? [thumbnail(i, across)] : [];
  if (data.texts[i]) made.push(words(data.texts[i]));
  return made;
}

// -- hovering and selecting
const tip = element("tip");
function hover(i, x = 0, y = 0) {
  canvas.classList.toggle("over", i >= 0);
  if (i !== hovered) {
    hovered = i;
    tip.hidden = i < 0;
    if (i >= 0) tip.replaceChildren(...parts(i, 96), ...labelled(i).map((text) => words(text, "words label")));
    draw();
  }
  if (i >= 0) {
    const box = tip.getBoundingClientRect();
    tip.style.left = `${Math.max(8, x + 18 + box.width > width ? x - 18 - box.width : x + 18)}px`;
    tip.style.top = `${Math.max(8, Math.min(y + 14, height - box.height - 8))}px`;
  }
}
function select(i) {
  selected = i;
  element("item").hidden = i < 0;
  if (i >= 0) {
    element("number").textContent = data.names[i] ? `${data.rows[i]}, ${data.names[i]}` : data.rows[i];
    const shown = [...parts(i, 160), ...labelled(i).map((text) => words(text, "words label"))];
    if (data.sounds[i]) {
      const player = document.createElement("audio");
      player.controls = true;
      player.src = data.sounds[i];
      shown.push(player);
    }
    element("shown").replaceChildren(...shown);
    element("neighbours").replaceChildren(...Array.from(neighbours.subarray(k * i, k * i + k), (other, place) => {
      const line = document.createElement("li"), button = document.createElement("button"), like = document.createElement("data");
      like.value = like.textContent = (cosines[k * i + place] / 32767).toFixed(3);
      button.append(...parts(other, data.thumbnails ? 44 : 0), like);
      if (!data.texts[other]) like.style.marginLeft = "auto";
      button.dataset.item = other;
      button.addEventListener("click", () => { select(other); show(other); });
      button.addEventListener("pointerenter", () => { hovered = other; draw(); });
      button.addEventListener("pointerleave", () => { hovered = -1; draw(); });
      line.append(button);
      return line;
    }));
  }
  remember();
  draw();
}
function show(i) {
  const [x, y] = toScreen(i);
  if (x < 40 || y < 40 || x > width - 40 || y > height - 40) { view.x = points[2 * i]; view.y = points[2 * i + 1]; }
  draw();
}
function zoom(times, x = width / 2, y = height / 2) {
  const [px, py] = toPlane(x, y);
  view.scale = Math.min(400, Math.max(0.5, view.scale * times));
  const [qx, qy] = toPlane(x, y);
  view.x += px - qx; view.y += py - qy;
  draw();
}
const held = new Map();
let moved = 0;
canvas.addEventListener("pointerdown", (event) => {
  held.set(event.pointerId, [event.offsetX, event.offsetY]);
  canvas.setPointerCapture(event.pointerId);
  moved = 0;
});
canvas.addEventListener("pointermove", (event) => {
  const before = held.get(event.pointerId);
  if (!before) { hover(pick(event.offsetX, event.offsetY), event.offsetX, event.offsetY); return; }
  const other = [...held].find(([id]) => id !== event.pointerId);
  const apart = (at) => other && Math.hypot(at[0] - other[1][0], at[1] - other[1][1]);
  const now = [event.offsetX, event.offsetY];
  if (other) zoom(apart(now) / (apart(before) || 1), (now[0] + other[1][0]) / 2, (now[1] + other[1][1]) / 2);
  else {
    view.x -= (now[0] - before[0]) / (side * view.scale);
    view.y += (now[1] - before[1]) / (side * view.scale);
  }
  moved += Math.abs(now[0] - before[0]) + Math.abs(now[1] - before[1]);
  canvas.classList.toggle("dragged", moved > 4);
  if (moved > 4) hover(-1);
  held.set(event.pointerId, now);
  draw();
});
for (const end of ["pointerup", "pointercancel"]) {
  canvas.addEventListener(end, (event) => {
    held.delete(event.pointerId);
    canvas.classList.remove("dragged");
    if (end === "pointerup" && moved <= 4) select(pick(event.offsetX, event.offsetY));
  });
}
canvas.addEventListener("pointerleave", () => { if (!held.size) hover(-1); });
canvas.addEventListener("wheel", (event) => {
  event.preventDefault();
  zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0015)), event.offsetX, event.offsetY);
}, { passive: false });
canvas.addEventListener("dblclick", () => { Object.assign(view, { scale: 1, x: 0.5, y: 0.5 }); draw(); });
canvas.addEventListener("keydown", (event) => {
  const step = 60 / (side * view.scale);
  const does = { ArrowLeft: () => { view.x -= step; }, ArrowRight: () => { view.x += step; },
    ArrowUp: () => { view.y += step; }, ArrowDown: () => { view.y -= step; },
    "+": () => zoom(1.25), "=": () => zoom(1.25), "-": () => zoom(0.8),
    Enter: () => select(pick(width / 2, height / 2, Math.max(width, height))) }[event.key];
  if (does) { event.preventDefault(); does(); draw(); }
});
document.addEventListener("keydown", (event) => {
  if (event.key === "/" && document.activeElement !== element("search")) { event.preventDefault(); element("search").focus(); }
  if (event.key === "Escape") { element("search").value = ""; search(""); select(-1); }
});

// -- searching and colouring
function search(text) {
  const terms = text.toLowerCase().split(/\s+/).filter(Boolean);
  wanted = terms.length ? Uint8Array.from(lowered, (words) => (terms.every((term) => words.includes(term)) ? 1 : 0)) : null;
  const count = wanted ? wanted.reduce((sum, one) => sum + one, 0) : n;
  element("found").textContent = wanted ? `${count.toLocaleString()} of ${n.toLocaleString()} found` : "";
  shade();
  painter.shaded();
  remember();
  draw();
}
function legend() {
  const list = element("legend");
  list.replaceChildren();
  if (colouring.kind === "number") {
    const line = document.createElement("li"), bar = document.createElement("b");
    line.className = "scale";
    bar.style.background = `linear-gradient(90deg, ${SCALE.map((c) => `rgb(${c})`).join(", ")})`;
    line.append(String(+colouring.low.toPrecision(4)), bar, String(+colouring.high.toPrecision(4)));
    list.append(line);
  } else if (colouring.kind !== "none") {
    colouring.names.slice(0, PALETTE.length).forEach((name, place) => list.append(entry(PALETTE[place], name)));
    const rest = colouring.names.length - PALETTE.length;
    if (rest > 0) list.append(entry(OTHER, `${rest.toLocaleString()} more`));
  }
}
function entry(colour, name) {
  const line = document.createElement("li"), dot = document.createElement("i");
  dot.style.background = colour;
  line.append(dot, name);
  return line;
}
function recolour(place) {
  colouring = colourings[place] || plain;
  element("colour").value = String(colourings.indexOf(colouring));
  legend();
  shade();
  painter.shaded();
  draw();
}
colourings.forEach((one, place) => element("colour").append(new Option(one.name, String(place))));
element("colouring").hidden = colourings.length < 2;
element("colour").addEventListener("change", (event) => recolour(Number(event.target.value)));
element("search").addEventListener("input", (event) => search(event.target.value));
element("about").textContent = data.about;

// -- the address remembers what is looked at, so that a map can be shared as it is seen
function remember() {
  const told = new URLSearchParams();
  if (selected >= 0) told.set("select", selected);
  if (element("search").value) told.set("search", element("search").value);
  try { history.replaceState(null, "", `#${told}`); } catch { /* some viewers have no address */ }
}
const told = new URLSearchParams(location.hash.slice(1));
window.addEventListener("resize", fit);
fit();
recolour(0);
if (told.get("search")) { element("search").value = told.get("search"); search(told.get("search")); }
if (told.get("select") && Number(told.get("select")) < n) { select(Number(told.get("select"))); show(selected); }
document.body.dataset.ready = "yes";
