// Convolution, dense layer and sigmoid in JavaScript: the skeleton that `reference-cnn init` writes, filled in.
//
//     reference-cnn check "exec:node tests/implementations/layers.mjs"

const SPECIAL = { NaN, Infinity, "-Infinity": -Infinity };

const product = (sizes) => sizes.reduce((all, size) => all * size, 1);
const zeros = (shape) => ({ shape, data: new Float64Array(product(shape)) });

// ---- the layers

// Where the taps of the windows lie: one entry for each spatial axis.
const axesOf = (x, w, { stride = 1, padding = 0, dilation = 1 }) =>
  x.shape.slice(2).map((size, axis) => {
    const at = (value) => (Array.isArray(value) ? value[axis] : value);
    const [kernel, step, gap] = [w.shape[axis + 2], at(stride), at(dilation)];
    const span = gap * (kernel - 1) + 1;
    let [before, after] = [0, 0];
    if (padding === "same") {
      const total = Math.max((Math.ceil(size / step) - 1) * step + span - size, 0);
      [before, after] = [Math.floor(total / 2), Math.ceil(total / 2)];
    } else if (padding !== "valid") {
      [before, after] = [at(padding)].flat().length === 2 ? at(padding) : [at(padding), at(padding)];
    }
    return { size, kernel, step, gap, before, out: Math.floor((size + before + after - span) / step) + 1 };
  });

// Calls visit(z, w, x) with the offsets of an output, a weight and an input for every product in a convolution.
function products(x, w, keywords, visit) {
  const axes = axesOf(x, w, keywords);
  const [images, channels] = x.shape;
  const [filters, channelsPerGroup] = w.shape;
  const filtersPerGroup = filters / (keywords.groups ?? 1);
  // Axis by axis: an offset in C order times the size of the next axis, plus the index there.
  const along = (axis, iz, iw, ix) => {
    if (axis === axes.length) return visit(iz, iw, ix);
    const { size, kernel, step, gap, before, out } = axes[axis];
    for (let o = 0; o < out; o++)
      for (let k = 0; k < kernel; k++) {
        const i = o * step + k * gap - before;
        if (i >= 0 && i < size) along(axis + 1, iz * out + o, iw * kernel + k, ix * size + i);
      }
  };
  for (let n = 0; n < images; n++)
    for (let f = 0; f < filters; f++)
      for (let c = 0; c < channelsPerGroup; c++) {
        const channel = Math.floor(f / filtersPerGroup) * channelsPerGroup + c;
        along(0, n * filters + f, f * channelsPerGroup + c, n * channels + channel);
      }
}

// The same for a dense layer: z[n, j] is the sum of x[n, i] · w[i, j].
function denseProducts(x, w, visit) {
  const [features, neurons] = w.shape;
  for (let n = 0; n < x.shape[0]; n++)
    for (let i = 0; i < features; i++)
      for (let j = 0; j < neurons; j++) visit(n * neurons + j, i * neurons + j, n * features + i);
}

const addBias = (z, b) => {
  const inner = product(z.shape.slice(2));
  if (b) z.data.forEach((_, i) => (z.data[i] += b.data[Math.floor(i / inner) % b.shape[0]]));
  return z;
};

const biasGradient = (dz) => {
  const db = zeros([dz.shape[1]]);
  const inner = product(dz.shape.slice(2));
  dz.data.forEach((v, i) => (db.data[Math.floor(i / inner) % dz.shape[1]] += v));
  return db;
};

const functions = {
  conv_forward({ x, w, b }, keywords) {
    const axes = axesOf(x, w, keywords);
    const z = zeros([x.shape[0], w.shape[0], ...axes.map((a) => a.out)]);
    products(x, w, keywords, (iz, iw, ix) => (z.data[iz] += w.data[iw] * x.data[ix]));
    return { z: addBias(z, b) };
  },
  conv_backward({ dz, x, w }, keywords) {
    const [dx, dw] = [zeros(x.shape), zeros(w.shape)];
    products(x, w, keywords, (iz, iw, ix) => {
      dx.data[ix] += dz.data[iz] * w.data[iw];
      dw.data[iw] += dz.data[iz] * x.data[ix];
    });
    return { dx, dw, db: biasGradient(dz) };
  },
  dense_forward({ x, w, b }) {
    const z = zeros([x.shape[0], w.shape[1]]);
    denseProducts(x, w, (iz, iw, ix) => (z.data[iz] += w.data[iw] * x.data[ix]));
    return { z: addBias(z, b) };
  },
  dense_backward({ dz, x, w }) {
    const [dx, dw] = [zeros(x.shape), zeros(w.shape)];
    denseProducts(x, w, (iz, iw, ix) => {
      dx.data[ix] += dz.data[iz] * w.data[iw];
      dw.data[iw] += dz.data[iz] * x.data[ix];
    });
    return { dx, dw, db: biasGradient(dz) };
  },
  sigmoid({ z }) {
    return { a: { shape: z.shape, data: z.data.map((v) => 1 / (1 + Math.exp(-v))) } };
  },
  sigmoid_prime({ z }) {
    // sigmoid(z) · sigmoid(−z) keeps the tail that a · (1 − a) loses.
    return { a_prime: { shape: z.shape, data: z.data.map((v) => 1 / (1 + Math.exp(-v)) / (1 + Math.exp(v))) } };
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
