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

// All index tuples below the sizes, the last changing fastest.
function* indices(sizes) {
  const index = sizes.map(() => 0);
  for (let left = product(sizes); left > 0; left--) {
    yield index;
    for (let axis = sizes.length - 1; axis >= 0 && ++index[axis] === sizes[axis]; axis--) index[axis] = 0;
  }
}

const offset = (shape, ...index) => index.flat().reduce((all, i, axis) => all * shape[axis] + i, 0);

// Calls visit(z, w, x) with the offsets of an output, a weight and an input for every product in a convolution.
function products(x, w, keywords, visit) {
  const axes = axesOf(x, w, keywords);
  const zShape = [x.shape[0], w.shape[0], ...axes.map((a) => a.out)];
  const filtersPerGroup = w.shape[0] / (keywords.groups ?? 1);
  for (const [n, f, ...o] of indices(zShape)) {
    for (const [c, ...k] of indices(w.shape.slice(1))) {
      const i = axes.map((a, axis) => o[axis] * a.step + k[axis] * a.gap - a.before);
      if (!i.every((place, axis) => place >= 0 && place < axes[axis].size)) continue;
      const channel = Math.floor(f / filtersPerGroup) * w.shape[1] + c;
      visit(offset(zShape, n, f, o), offset(w.shape, f, c, k), offset(x.shape, n, channel, i));
    }
  }
  return zShape;
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
    for (const [n, i, j] of indices([...x.shape, w.shape[1]]))
      z.data[offset(z.shape, n, j)] += x.data[offset(x.shape, n, i)] * w.data[offset(w.shape, i, j)];
    return { z: addBias(z, b) };
  },
  dense_backward({ dz, x, w }) {
    const [dx, dw] = [zeros(x.shape), zeros(w.shape)];
    for (const [n, i, j] of indices([...x.shape, w.shape[1]])) {
      dx.data[offset(x.shape, n, i)] += dz.data[offset(dz.shape, n, j)] * w.data[offset(w.shape, i, j)];
      dw.data[offset(w.shape, i, j)] += dz.data[offset(dz.shape, n, j)] * x.data[offset(x.shape, n, i)];
    }
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
