"use strict";
const { views, photos } = JSON.parse(document.getElementById("data").textContent);
const find = (id) => document.getElementById(id);
const stage = find("stage"), split = find("split");
const sides = ["left", "right"];
// what is looked at: centre is the point of the photo in the middle of the stage, 0 to 1
const state = { photo: 0, left: "photo", right: "adapted", zoom: 0, centre: [0.5, 0.5] };
let drag = null;

const clamp = (value, low, high) => Math.max(low, Math.min(high, value));

const room = () => [find("frame").clientWidth, 0.75 * innerHeight];

// CSS pixels for one pixel of the photo; 100 % is one pixel of the screen for each
function scale(photo) {
  if (state.zoom) return state.zoom / devicePixelRatio;
  const [width, height] = room();
  return Math.min(1, width / photo.width, height / photo.height);
}

function layout() {
  const photo = photos[state.photo], size = scale(photo);
  const full = [photo.width * size, photo.height * size];
  const seen = room().map((length, axis) => Math.min(length, full[axis]));
  const start = full.map((length, axis) => {
    const half = seen[axis] / 2 / length;
    state.centre[axis] = clamp(state.centre[axis], half, 1 - half);
    const place = seen[axis] / 2 - state.centre[axis] * length;
    return Math.round(place * devicePixelRatio) / devicePixelRatio;
  });
  stage.style.width = split.style.width = seen[0] + "px";
  stage.style.height = seen[1] + "px";
  const large = full[0] > seen[0] + 1 || full[1] > seen[1] + 1;
  stage.classList.toggle("large", large);
  stage.tabIndex = large ? 0 : -1;
  for (const side of sides) {
    const style = find(side + "-image").style;
    style.width = full[0] + "px";
    style.height = full[1] + "px";
    // not a transform, which would blur where it falls between the pixels of the screen
    style.left = start[0] + "px";
    style.top = start[1] + "px";
    style.imageRendering = state.zoom > 1 ? "pixelated" : "auto";
  }
  find("over").style.clipPath = `inset(0 0 0 ${split.value}%)`;
  find("divider").style.left = split.value + "%";
}

function show() {
  const photo = photos[state.photo];
  for (const side of sides) {
    const image = find(side + "-image"), view = state[side];
    const words = view === "residual" ? `${views[view]}, × ${photo.gain}` : views[view];
    if (image.getAttribute("src") !== photo.files[view]) image.src = photo.files[view];
    image.alt = `${side}: ${words}, ${photo.name}`;
    find(side + "-tag").textContent = words;
    find(side).value = view;
  }
  stage.setAttribute("aria-label", `${photo.name}, ${photo.width} by ${photo.height} pixels`);
  find("photos").childNodes.forEach((button, number) => {
    button.setAttribute("aria-pressed", number === state.photo);
  });
  find("message").textContent = "";
  find("removed").hidden = !sides.some((side) => state[side] === "residual");
  find("removed").textContent = "Removed: the photo minus its restoration after adapting, " +
    `times ${photo.gain}; grey is nothing. It should look like noise alone: outlines are lost detail.`;
  layout();
}

function moveSplit(x) {
  const box = stage.getBoundingClientRect();
  split.value = clamp((100 * (x - box.left)) / box.width, 0, 100);
  layout();
}

function pan(x, y) {
  const photo = photos[state.photo], size = scale(photo);
  state.centre[0] -= x / size / photo.width;
  state.centre[1] -= y / size / photo.height;
  layout();
}

function zoom(value) {
  state.zoom = value;
  document.querySelector(`[name=zoom][value="${value}"]`).checked = true;
  layout();
}

function begin() {
  photos.forEach((photo, number) => {
    const button = document.createElement("button"), image = document.createElement("img");
    const name = document.createElement("span");
    name.textContent = button.title = photo.name;
    image.src = photo.small;
    image.alt = "";
    image.loading = "lazy";
    button.type = "button";
    button.append(image, name);
    button.onclick = () => { state.photo = number; state.centre = [0.5, 0.5]; show(); };
    find("photos").append(button);
  });
  for (const side of sides) {
    for (const [view, words] of Object.entries(views)) find(side).add(new Option(words, view));
    find(side).onchange = (event) => { state[side] = event.target.value; show(); };
    find(side + "-image").onerror = (event) => {
      const file = decodeURI(event.target.getAttribute("src"));
      find("message").textContent = `${file} is missing; keep it beside this page.`;
    };
  }
  document.querySelectorAll("[name=zoom]").forEach((choice) => {
    choice.onchange = () => zoom(Number(choice.value));
  });
  split.step = "any";
  split.oninput = layout;
  split.onkeydown = (event) => {
    // "any" leaves the size of a step to the browser
    const steps = { ArrowLeft: -2, ArrowDown: -2, ArrowRight: 2, ArrowUp: 2 };
    if (!(event.key in steps)) return;
    event.preventDefault();
    split.value = Number(split.value) + steps[event.key];
    layout();
  };
  stage.onpointerdown = (event) => {
    if (event.button || !event.isPrimary) return;
    const middle = find("divider").getBoundingClientRect().left;
    const large = stage.classList.contains("large") && Math.abs(event.clientX - middle) > 24;
    stage.setPointerCapture(event.pointerId);
    drag = large ? [event.clientX, event.clientY] : "split";
    if (!large) moveSplit(event.clientX);
  };
  stage.onpointermove = (event) => {
    if (!drag || !event.isPrimary) return;
    if (drag === "split") return moveSplit(event.clientX);
    pan(event.clientX - drag[0], event.clientY - drag[1]);
    drag = [event.clientX, event.clientY];
  };
  stage.onpointerup = stage.onpointercancel = () => { drag = null; };
  stage.onkeydown = (event) => {
    const steps = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] };
    if (!(event.key in steps) || !stage.classList.contains("large")) return;
    event.preventDefault();
    pan(...steps[event.key]);
  };
  stage.ondblclick = (event) => {
    const box = find("left-image").getBoundingClientRect();
    state.centre = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
    zoom(state.zoom ? 0 : 1);
  };
  addEventListener("resize", layout);
  find("viewer").hidden = false;
  show();
}

if (photos.length) begin();
