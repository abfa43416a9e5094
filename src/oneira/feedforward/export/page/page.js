"use strict";
/* What is chosen, and what is seen of it. The worker draws. */

const LARGEST = 2048; // long side; beyond it, browsers run out of memory
const at = (id) => document.getElementById(id);
const all = (selector) => [...document.querySelectorAll(selector)];

const { styles, identity, conditional, pictures } = window.MODEL;
const choices = styles.map((_, index) => index).filter((index) => index !== identity);
const shares = new Map(choices.slice(0, 1).map((index) => [index, 50])); // of the styles that are chosen
let source = null; // {bitmap, name}
let original = null; // the picture as it goes in: ImageData
let result = null;
let worker;
let ready = false;
let drawing = 0; // the number of the picture that is being drawn; 0: none
let number = 0;
let waiting = false; // something was changed meanwhile

/* Starting. */

async function unpacked(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

async function start() {
  const { script, module, worker: own, binary } = window.RUNTIME;
  worker = new Worker(URL.createObjectURL(new Blob([script, "\n", own], { type: "text/javascript" })));
  worker.onmessage = ({ data }) => receive(data);
  worker.onerror = (event) => tell(`This browser cannot run it: ${event.message}`);
  const [wasm, onnx] = await Promise.all([unpacked(binary), unpacked(window.MODEL.onnx)]);
  worker.postMessage({ module, binary: wasm, onnx }, [wasm.buffer, onnx.buffer]);
}

function receive(data) {
  if (data.ready) {
    ready = true;
    tell(source ? "" : "Ready.");
    draw();
    return;
  }
  drawing = 0;
  if (data.error) {
    tell(ready ? `That did not work; a smaller size may. (${data.error})` : `This browser cannot run it: ${data.error}`);
  } else if (!waiting) {
    result = new ImageData(data.pixels, data.width, data.height);
    show(result);
    tell(`${data.width} × ${data.height} px, drawn in ${data.seconds.toFixed(1)} s`);
    at("picture").dataset.drawn = data.number;
  }
  busy();
  if (waiting) draw();
}

/* Drawing. */

function draw() {
  if (!source || !ready || !shares.size) return;
  waiting = drawing !== 0;
  if (waiting) return;
  original = scaled(source.bitmap);
  drawing = ++number;
  if (!result) show(original);
  busy();
  tell("Drawing …");
  const { width, height } = original;
  const pixels = original.data.slice();
  worker.postMessage({ number, pixels, width, height, style: weights() }, [pixels.buffer]);
}

function scaled(bitmap) {
  const longest = Math.max(bitmap.width, bitmap.height);
  const factor = Math.min(1, (Number(at("size").value) || LARGEST) / longest, LARGEST / longest);
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(bitmap.width * factor));
  canvas.height = Math.max(1, Math.round(bitmap.height * factor));
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  return context.getImageData(0, 0, canvas.width, canvas.height);
}

/* What the network takes: weights that add up to 1, of which the photograph's own style has what strength leaves. */
function weights() {
  if (!conditional) return null;
  const chosen = new Float32Array(styles.length);
  const strength = identity === null ? 1 : Number(at("strength").value) / 100;
  for (const [index, part] of portions()) chosen[index] = strength * part;
  if (identity !== null) chosen[identity] = 1 - strength;
  return chosen;
}

function portions() {
  const whole = [...shares.values()].reduce((sum, share) => sum + share, 0);
  return [...shares].map(([index, share]) => [index, whole ? share / whole : 1 / shares.size]);
}

/* What is seen. */

function tell(text) {
  at("status").textContent = text;
}

function busy() {
  at("busy").hidden = drawing === 0;
  at("stage").setAttribute("aria-busy", String(drawing !== 0));
  for (const button of [at("compare"), at("save")]) button.disabled = !result || drawing !== 0;
}

function show(image) {
  const canvas = at("picture");
  canvas.width = image.width;
  canvas.height = image.height;
  canvas.getContext("2d").putImageData(image, 0, 0);
  stage("picture");
}

function stage(shown) {
  for (const id of ["empty", "picture", "filming"]) at(id).hidden = id !== shown;
  for (const button of [at("compare"), at("save"), ...all(".again")]) button.hidden = shown !== "picture";
}

function named(index) {
  return styles[index].replaceAll("_", " ");
}

function offerStyles() {
  if (!conditional || choices.length < 2) {
    at("hint").hidden = true;
  }
  for (const index of choices) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "style";
    button.dataset.style = styles[index];
    const picture = new Image();
    picture.src = pictures[index];
    picture.alt = "";
    const name = document.createElement("span");
    name.textContent = named(index);
    button.append(picture, name);
    button.addEventListener("click", () => {
      if (!shares.has(index)) shares.set(index, 50);
      else if (shares.size > 1) shares.delete(index);
      else return; // something has to be drawn
      offerBlend();
      draw();
    });
    at("styles").append(button);
  }
  at("strength-section").hidden = identity === null;
}

function offerBlend() {
  for (const button of all(".style")) button.setAttribute("aria-pressed", String(shares.has(styles.indexOf(button.dataset.style))));
  at("blend-section").hidden = shares.size < 2;
  at("blend").replaceChildren(
    ...[...shares].map(([index, share]) => {
      const row = document.createElement("div");
      row.className = "slider";
      row.innerHTML = '<label></label><input type="range" min="0" max="100"><output></output>';
      const [label, input, output] = row.children;
      label.textContent = named(index);
      label.htmlFor = input.id = `share-${index}`;
      output.dataset.index = index;
      input.value = share;
      input.addEventListener("input", () => {
        shares.set(index, Number(input.value));
        tellPortions();
      });
      input.addEventListener("change", draw);
      return row;
    }),
  );
  tellPortions();
}

function tellPortions() {
  const parts = new Map(portions());
  for (const output of all("#blend output")) output.textContent = `${Math.round(100 * parts.get(Number(output.dataset.index)))} %`;
}

/* Where pictures come from. */

async function take(blob, name) {
  try {
    const bitmap = await createImageBitmap(blob);
    source = { bitmap, name: name.replace(/\.[^.]*$/, "") || "picture" };
    result = null;
    stopFilming();
    show(scaled(bitmap));
    tell(ready ? "" : "Starting …");
    busy();
    draw();
  } catch {
    tell(`${name || "That"} is no picture that this browser can read.`);
  }
}

async function film() {
  try {
    const stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
    at("video").srcObject = stream;
    stage("filming");
    await at("video").play();
  } catch (error) {
    stopFilming();
    tell(`The camera cannot be had: ${error.message}`);
  }
}

function stopFilming() {
  for (const track of at("video").srcObject?.getTracks() ?? []) track.stop();
  at("video").srcObject = null;
  stage(source ? "picture" : "empty");
}

function shoot() {
  const video = at("video");
  const canvas = document.createElement("canvas");
  canvas.width = video.videoWidth;
  canvas.height = video.videoHeight;
  canvas.getContext("2d").drawImage(video, 0, 0);
  canvas.toBlob((blob) => take(blob, "camera.png"));
}

function tryCat() {
  const bytes = Uint8Array.from(atob(window.MODEL.sample.split(",")[1]), (letter) => letter.charCodeAt(0));
  take(new Blob([bytes], { type: "image/jpeg" }), "cat.jpg");
}

function save() {
  const canvas = at("picture");
  canvas.toBlob((blob) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = `${source.name}-${[...shares.keys()].map((index) => styles[index]).join("-")}.png`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  });
}

/* What acts. */

function listen() {
  for (const button of all(".open")) button.addEventListener("click", () => at("file").click());
  for (const button of all(".camera")) button.addEventListener("click", film);
  if (!navigator.mediaDevices?.getUserMedia) for (const button of all(".camera")) button.remove();
  at("file").addEventListener("change", ({ target }) => {
    if (target.files[0]) take(target.files[0], target.files[0].name);
    target.value = "";
  });
  at("try").addEventListener("click", tryCat);
  at("shoot").addEventListener("click", shoot);
  at("cancel").addEventListener("click", stopFilming);
  at("save").addEventListener("click", save);
  at("size").addEventListener("change", draw);
  at("strength").addEventListener("input", ({ target }) => (at("strength-told").textContent = `${target.value} %`));
  at("strength").addEventListener("change", draw);
  const compare = at("compare");
  for (const kind of ["pointerdown", "keydown"]) compare.addEventListener(kind, () => original && show(original));
  for (const kind of ["pointerup", "pointerleave", "keyup", "blur"]) compare.addEventListener(kind, () => result && !compare.hidden && show(result));
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    at("stage").classList.add("over");
  });
  document.addEventListener("dragleave", () => at("stage").classList.remove("over"));
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    at("stage").classList.remove("over");
    const [file] = event.dataTransfer.files;
    if (file) take(file, file.name);
  });
  document.addEventListener("paste", (event) => {
    const [file] = event.clipboardData.files;
    if (file) take(file, file.name || "picture.png");
  });
}

offerStyles();
offerBlend();
listen();
start().catch((error) => tell(`This browser cannot run it: ${error.message}`));
