"use strict";
/* Draws, beside the page, so that it answers meanwhile. What comes first is the runtime and the model. */

let session;

onmessage = async ({ data }) => {
  try {
    postMessage(data.onnx ? await started(data) : await drawn(data));
  } catch (error) {
    postMessage({ number: data.number, error: String(error?.message ?? error) });
  }
};

async function started({ onnx, binary, module }) {
  // A page that is read from the disk may share no memory between threads, so there is one.
  Object.assign(ort.env.wasm, { numThreads: 1, proxy: false, wasmBinary: binary.buffer });
  ort.env.wasm.wasmPaths = { mjs: URL.createObjectURL(new Blob([module], { type: "text/javascript" })) };
  session = await ort.InferenceSession.create(onnx, { executionProviders: ["wasm"] });
  return { ready: true };
}

async function drawn({ number, pixels, width, height, style }) {
  const began = performance.now();
  const plane = width * height;
  const colours = new Float32Array(3 * plane);
  for (let at = 0; at < plane; at++) {
    for (let channel = 0; channel < 3; channel++) colours[channel * plane + at] = pixels[4 * at + channel] / 255;
  }
  const inputs = { image: new ort.Tensor("float32", colours, [1, 3, height, width]) };
  if (style) inputs.style = new ort.Tensor("float32", style, [1, style.length]);
  const { stylized } = await session.run(inputs);
  // The array clamps and rounds; how opaque the picture is stays as it was.
  for (let at = 0; at < plane; at++) {
    for (let channel = 0; channel < 3; channel++) pixels[4 * at + channel] = 255 * stylized.data[channel * plane + at];
  }
  return { number, pixels, width, height, seconds: (performance.now() - began) / 1000 };
}
