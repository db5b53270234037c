// What a reader sees of the players on this page, or of what the selector given picks: the contrast
// of each text, and in drawings texts that collide or are cut off.
const canvas = document.body.appendChild(document.createElement("div"));
canvas.style.backgroundColor = "Canvas";
const paper = colour(getComputedStyle(canvas).backgroundColor).rgb;
canvas.remove();
function colour(text) {
  const parts = text.match(/[\d.]+/g).map(Number);
  return { rgb: parts.slice(0, 3), alpha: parts.length > 3 ? parts[3] : 1 };
}
function luminance(rgb) {
  const [r, g, b] = rgb.map((v) => {
    v /= 255;
    return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}
function contrast(a, b) {
  const [dark, light] = [luminance(a), luminance(b)].sort((x, y) => x - y);
  return (light + 0.05) / (dark + 0.05);
}
function ground(element) {
  for (let e = element; e; e = e.parentElement) {
    const c = colour(getComputedStyle(e).backgroundColor);
    if (c.alpha > 0.5) return c.rgb;
  }
  return paper;
}
function seen(element) {
  const box = element.getBoundingClientRect();
  return getComputedStyle(element).visibility !== "hidden" && box.width > 0 && box.height > 0;
}
function under(text, svg) {
  const box = text.getBoundingClientRect();
  const [x, y] = [box.left + box.width / 2, box.top + box.height / 2];
  let found = ground(svg);
  for (const shape of svg.querySelectorAll("rect")) {
    if (shape.compareDocumentPosition(text) & Node.DOCUMENT_POSITION_PRECEDING) continue;
    const r = shape.getBoundingClientRect();
    const style = getComputedStyle(shape);
    if (style.fill === "none" || style.visibility === "hidden") continue;
    if (r.left <= x && x <= r.right && r.top <= y && y <= r.bottom) found = colour(style.fill).rgb;
  }
  return found;
}
const faint = [];
const collisions = [];
const cut = [];
function written(e) {
  return [...e.childNodes].some((n) => n.nodeType === Node.TEXT_NODE && n.data.trim());
}
for (const root of document.querySelectorAll(arguments[0] || ".minires-player")) {
  for (const e of [root, ...root.querySelectorAll("*")]) {
    if (!written(e) || e.closest("svg, script, style, :disabled") || !seen(e)) continue;
    const ratio = contrast(colour(getComputedStyle(e).color).rgb, ground(e));
    if (ratio < 4.5) faint.push([e.textContent, ratio]);
  }
  for (const svg of root.querySelectorAll("svg")) {
    const frame = svg.getBoundingClientRect();
    const texts = [...svg.querySelectorAll("text")].filter((t) => t.textContent && seen(t));
    const boxes = texts.map((t) => t.getBoundingClientRect());
    texts.forEach((t, i) => {
      const ratio = contrast(colour(getComputedStyle(t).fill).rgb, under(t, svg));
      if (ratio < 4.5) faint.push([t.textContent, ratio]);
      const b = boxes[i];
      if (b.left < frame.left - 1 || b.right > frame.right + 1 || b.top < frame.top - 1 ||
          b.bottom > frame.bottom + 1) cut.push(t.textContent);
      for (let j = 0; j < i; j++) {
        const o = boxes[j];
        const wide = Math.min(b.right, o.right) - Math.max(b.left, o.left);
        const high = Math.min(b.bottom, o.bottom) - Math.max(b.top, o.top);
        if (wide > 2 && high > 5) collisions.push([t.textContent, texts[j].textContent]);
      }
    });
  }
}
return { faint, collisions, cut };
