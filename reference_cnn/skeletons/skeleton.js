// Your layers, ready to be checked: fill in the functions in the middle, as many as you have.
//
//     reference-cnn check "exec:node @FILE@"
//
// Above and below them is the protocol of reference_cnn (spec/protocol.md): float64 and float32, as text.

const SPECIAL = { NaN, Infinity, "-Infinity": -Infinity };

const product = (sizes) => sizes.reduce((all, size) => all * size, 1);
const zeros = (shape) => ({ shape, data: new Float64Array(product(shape)) });

// ---- the layers
//
// An array has a shape and data, a Float64Array in C order; zeros(shape) makes one. A function returns its outputs by
// name, or null as long as it is not implemented; an output that is left out is not offered. b is undefined where there
// is none. Keywords at their defaults (stride 1, padding 0, dilation 1, groups 1) are absent.

const functions = {
  // z[n, f, o] = b[f] + sum over c, k of w[f, c, k] * x[n, c, o * stride + k * dilation - padding]: { z }
  conv_forward({ x, w, b }, { stride = 1, padding = 0, dilation = 1, groups = 1 }) {
    return null;
  },
  // the gradients of the error for x, w and b, given dz, the one for z: { dx, dw, db }
  conv_backward({ dz, x, w }, { stride = 1, padding = 0, dilation = 1, groups = 1 }) {
    return null;
  },
  // z = x w + b, with x (n, m), w (m, k) and b (k): { z }
  dense_forward({ x, w, b }) {
    return null;
  },
  // { dx, dw, db }
  dense_backward({ dz, x, w }) {
    return null;
  },
  // 1 / (1 + exp(-z)): { a }
  sigmoid({ z }) {
    return null;
  },
  // the derivative of sigmoid at z: { a_prime }
  sigmoid_prime({ z }) {
    return null;
  },
};

// ---- the protocol

const KEYWORDS = ["stride", "padding", "dilation", "groups"];

// Numbers are float64 here; those of float32 arrays are rounded when they are written.
const read = (value) =>
  value?.data ? { ...value, data: Float64Array.from(value.data, (v) => (typeof v === "string" ? SPECIAL[v] : v)) } : value;

const write = ({ shape, data }, dtype) => {
  const round = dtype === "float32" ? Math.fround : (v) => v;
  return { dtype, shape, data: Array.from(data, (v) => (Number.isFinite(round(v)) ? round(v) : String(round(v)))) };
};

const mapped = (object, change) => Object.fromEntries(Object.entries(object).map(([name, v]) => [name, change(v, name)]));

function answer({ ask, arguments: given, keywords }) {
  if (ask === "hello")
    return { protocol: 1, functions: mapped(functions, (_, name) => (name.startsWith("conv") ? KEYWORDS : [])) };
  const { dtype } = Object.values(given)[0];
  const known = dtype === "float64" || dtype === "float32";
  const outputs = known ? functions[ask](mapped(given, read), keywords) : null;
  if (!outputs) return { error: `${ask} in ${dtype}`, kind: "not implemented" };
  return { outputs: mapped(outputs, (a) => write(a, dtype)) };
}

function respond(line) {
  const request = JSON.parse(line);
  let response;
  try {
    response = answer(request);
  } catch (error) {
    response = { error: String(error), kind: "failed" };
  }
  process.stdout.write(`${JSON.stringify({ id: request.id, ...response })}\n`);
}

let parts = [];
process.stdin.setEncoding("utf8").on("data", (chunk) => {
  const lines = chunk.split("\n");
  parts.push(lines.shift());
  for (const next of lines) {
    respond(parts.join(""));
    parts = [next];
  }
});
