// The player: replaces the still picture by a drawing that its frames change, one step at a time.
// It is called once per player with that player's id and data, and touches nothing else on the page.
(function (id, data) {
  "use strict";
  const script = document.currentScript;
  const root =
    (script && script.closest(".minires-player")) ||
    document.querySelector(`[id="${id}"]:not([data-ready])`);
  if (!root || "ready" in root.dataset) return;
  root.dataset.ready = "";
  for (let n = 2; document.querySelectorAll(`[id="${root.id}"]`).length > 1; n++) {
    root.id = `${id}-${n}`; // the same player twice on one page
  }

  const frames = data.frames;
  const last = frames.length - 1;
  let at = 0;
  let timer = null;

  function make(tag, attributes, parent) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name === "text") element.textContent = value;
      else element.setAttribute(name, value);
    }
    if (parent) parent.append(element);
    return element;
  }

  for (const still of root.querySelectorAll(".still")) still.remove();
  root.tabIndex = 0;
  root.setAttribute("role", "group");
  const steps = last ? `: ${frames.length} steps, arrow keys move` : "";
  root.setAttribute("aria-label", data.title + steps);
  root.setAttribute("data-lm-suppress-shortcuts", "true"); // JupyterLab's keys stay out of here

  const head = make("div", { class: "head" }, root);
  make("span", { class: "title", text: data.title }, head);
  const phase = make("span", { class: "phase" }, head);
  const count = make("span", { class: "count" }, head);
  const stage = make("div", { class: "stage" }, root);
  stage.innerHTML = data.svg;
  const drawing = stage.firstElementChild; // shrinks a little to fit, then scrolls
  drawing.style.minWidth = `${0.75 * drawing.getAttribute("width")}px`;
  const math = make("div", { class: "math" }, root);
  math.hidden = !frames.some((frame) => frame.math);
  const say = make("p", { class: "say", role: "status", "aria-live": "polite" }, root);
  const parts = make("div", { class: "parts", "aria-hidden": "true" }, root);
  for (let i = 0; i < frames.length; ) {
    let end = i;
    while (end < frames.length && frames[end].phase === frames[i].phase) end++;
    make("span", { class: frames[i].phase || "", style: `flex:${end - i}` }, parts);
    i = end;
  }
  root.classList.toggle("single", !last); // a picture: nothing to step through
  const slider = make(
    "input",
    { class: "slider", type: "range", min: 0, max: last, step: 1, value: 0, "aria-label": "step" },
    root,
  );
  const buttons = make("div", { class: "buttons" }, root);
  function button(name, label, text, action) {
    const element = make(
      "button",
      { type: "button", class: name, "aria-label": label, title: label, text },
      buttons,
    );
    element.addEventListener("click", action);
    return element;
  }
  const first = button("first", "first step", "|◀\uFE0E", () => go(0));
  const back = button("back", "one step back", "◀\uFE0E", () => go(at - 1));
  const play = button("play", "play", "play", () => (timer ? stop() : start()));
  const next = button("next", "one step on", "▶\uFE0E", () => go(at + 1));
  const end = button("last", "last step", "▶\uFE0E|", () => go(last));
  make("span", { class: "keys", text: "← → Home End" }, buttons);

  // what the drawing looked like before any frame
  const keyed = new Map();
  for (const element of stage.querySelectorAll("[data-k]")) {
    const known = keyed.get(element.dataset.k) || [];
    known.push({ element, text: element.textContent, cls: element.getAttribute("class") || "" });
    keyed.set(element.dataset.k, known);
  }

  function state(index) {
    const now = { text: {}, classes: {}, shift: {} };
    for (let i = 0; i <= index; i++) {
      for (const kind of ["text", "classes", "shift"]) Object.assign(now[kind], frames[i][kind]);
    }
    return now;
  }

  function show() {
    const frame = frames[at];
    const now = state(at);
    const marks = frame.marks || {};
    for (const [key, found] of keyed) {
      for (const { element, text, cls } of found) {
        const more = `${now.classes[key] || ""} ${marks[key] || ""}`.trim();
        element.setAttribute("class", more ? `${cls} ${more}` : cls);
        if (element.tagName === "text") {
          const wanted = key in now.text ? now.text[key] : text;
          if (element.textContent !== wanted) element.textContent = wanted;
        }
        if (key in now.shift) {
          element.style.transform = `translate(${now.shift[key][0]}px,${now.shift[key][1]}px)`;
        } else element.style.transform = "";
      }
    }
    root.dataset.phase = frame.phase || "";
    phase.textContent = frame.phase || "";
    count.textContent = last ? `step ${at + 1} of ${frames.length}` : "";
    math.innerHTML = frame.math || "";
    say.textContent = frame.say;
    slider.value = at;
    slider.setAttribute("aria-valuetext", `step ${at + 1} of ${frames.length}`);
    first.disabled = back.disabled = at === 0;
    next.disabled = end.disabled = at === last;
    const focused = document.activeElement;
    if (buttons.contains(focused) && focused.disabled) root.focus({ preventScroll: true });
    const current = stage.querySelector(".now");
    if (current && stage.scrollWidth > stage.clientWidth) {
      const middle = (r) => r.left + r.width / 2;
      stage.scrollLeft +=
        middle(current.getBoundingClientRect()) - middle(stage.getBoundingClientRect());
    }
  }

  function go(index) {
    stop();
    at = Math.min(Math.max(index, 0), last);
    show();
  }

  function start() {
    if (at === last) at = -1;
    const step = () => {
      at++;
      show();
      if (at === last) stop();
    };
    timer = setInterval(step, 1400);
    play.textContent = "pause";
    play.setAttribute("aria-label", "pause");
    step();
  }

  function stop() {
    clearInterval(timer);
    timer = null;
    play.textContent = "play";
    play.setAttribute("aria-label", "play");
  }

  slider.addEventListener("input", () => go(Number(slider.value)));
  root.addEventListener("keydown", (event) => {
    const target = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: last }[event.key];
    if (target === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    event.stopPropagation();
    go(target);
  });
  let tallest = 0; // so that nothing below moves from step to step
  for (const frame of frames) {
    math.innerHTML = frame.math || "";
    tallest = Math.max(tallest, math.offsetHeight);
  }
  math.style.minHeight = `${Math.min(tallest, 260)}px`;
  show();
})
