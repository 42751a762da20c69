/* Convolution, dense layer and sigmoid in C: the skeleton that `reference-cnn init` writes, filled in.

       cc -O2 -o layers tests/implementations/layers.c -lm
       reference-cnn check "exec:./layers"

   With -DFLIPPED the kernel is flipped, which the check has to find. */

#include <ctype.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RANKS = 8 };

/* ---- memory: one list of blocks for each request */

typedef struct Block {
    struct Block *next;
    max_align_t room[];
} Block;

static Block *blocks;

static void *get(size_t size)
{
    Block *block = calloc(1, sizeof(Block) + size);
    if (!block) {
        fprintf(stderr, "out of memory\n");
        exit(1);
    }
    block->next = blocks;
    blocks = block;
    return block->room;
}

static void release(void)
{
    while (blocks) {
        Block *next = blocks->next;
        free(blocks);
        blocks = next;
    }
}

/* ---- JSON: a value is a number, a string, or a list of children, which have keys in an object */

typedef struct Value {
    struct Value *next;
    char *key;
    char *text; /* of a string */
    double number;
    struct Value *children;
    size_t count;
} Value;

static const char *at;

static void malformed(void)
{
    fprintf(stderr, "malformed request near: %.40s\n", at);
    exit(1);
}

static void space(void)
{
    while (isspace((unsigned char)*at))
        at++;
}

static void expect(char c)
{
    space();
    if (*at++ != c)
        malformed();
}

static char *read_string(void)
{
    expect('"');
    const char *end = at;
    while (*end != '"') {
        if (!*end || (*end == '\\' && !*++end))
            malformed();
        end++;
    }
    /* Nothing that concerns us needs an escape: the character after a backslash stands for itself. */
    char *text = get((size_t)(end - at) + 1), *to = text;
    for (; at < end; at++) {
        if (*at == '\\')
            at++;
        *to++ = *at;
    }
    at = end + 1;
    return text;
}

static Value *read_value(int depth)
{
    Value *value = get(sizeof *value), **last = &value->children;
    space();
    if (depth > 64)
        malformed();
    if (*at == '"') {
        value->text = read_string();
    } else if (*at == '[' || *at == '{') {
        char close = *at++ == '[' ? ']' : '}';
        for (space(); *at != close; space()) {
            char *key = NULL;
            if (value->count++)
                expect(',');
            if (close == '}') {
                space();
                key = read_string();
                expect(':');
            }
            *last = read_value(depth + 1);
            (*last)->key = key;
            last = &(*last)->next;
        }
        at++;
    } else if (isalpha((unsigned char)*at)) { /* true, false, null */
        while (isalpha((unsigned char)*at))
            at++;
    } else {
        char *end;
        value->number = strtod(at, &end);
        if (end == at)
            malformed();
        at = end;
    }
    return value;
}

static const Value *find(const Value *object, const char *key)
{
    for (const Value *v = object ? object->children : NULL; v; v = v->next)
        if (v->key && !strcmp(v->key, key))
            return v;
    return NULL;
}

static const char *text_of(const Value *value)
{
    return value && value->text ? value->text : "";
}

/* ---- arrays */

typedef struct {
    int axes;
    long size[RANKS];
    double *data;
} Array;

static int single; /* whether the request is in float32; numbers are double here, and rounded when written */

static long count(const Array *a)
{
    long all = 1;
    for (int i = 0; i < a->axes; i++)
        all *= a->size[i];
    return all;
}

static Array zeros(int axes, const long *size)
{
    Array a = {.axes = axes};
    memcpy(a.size, size, (size_t)axes * sizeof *size);
    a.data = get((size_t)count(&a) * sizeof *a.data);
    return a;
}

static Array read_array(const Value *value)
{
    long size[RANKS] = {0};
    int axes = 0;
    for (const Value *n = find(value, "shape")->children; n && axes < RANKS; n = n->next)
        size[axes++] = (long)n->number;
    Array a = zeros(axes, size);
    double *to = a.data, *end = a.data + count(&a);
    for (const Value *v = find(value, "data")->children; v && to < end; v = v->next)
        *to++ = v->text ? strtod(v->text, NULL) : v->number; /* strtod knows NaN and Infinity */
    return a;
}

static void write_array(const char *name, const Array *a, int first)
{
    printf("%s\"%s\":{\"dtype\":\"%s\",\"shape\":[", first ? "" : ",", name, single ? "float32" : "float64");
    for (int i = 0; i < a->axes; i++)
        printf(i ? ",%ld" : "%ld", a->size[i]);
    printf("],\"data\":[");
    for (long i = 0, n = count(a); i < n; i++) {
        double v = single ? (float)a->data[i] : a->data[i];
        if (i)
            putchar(',');
        if (isnan(v))
            printf("\"NaN\"");
        else if (isinf(v))
            printf(v > 0 ? "\"Infinity\"" : "\"-Infinity\"");
        else
            printf(single ? "%.9g" : "%.17g", v);
    }
    printf("]}");
}

/* An option as one number for all axes, or one for each. */
static const Value *per_axis(const Value *option, int axis)
{
    if (!option || !option->children)
        return option;
    const Value *v = option->children;
    while (axis--)
        v = v->next;
    return v;
}

static long number(const Value *option, int axis, long otherwise)
{
    const Value *v = per_axis(option, axis);
    return v ? (long)v->number : otherwise;
}

/* Padding before (side 0) or after (side 1) the image along an axis: a number, one for each axis, or a pair for each.
   -1 for "same", where the total follows from the sizes, and the odd zero comes after. */
static long pad(const Value *option, int axis, int side)
{
    const Value *v = per_axis(option, axis);
    if (v && v->text)
        return strcmp(v->text, "same") ? 0 : -1;
    return number(v, side, 0);
}

/* ---- the layers */

typedef struct {
    long size, kernel, stride, dilation, before, out;
} Axis;

static Axis axis_of(const Array *x, const Array *w, const Value *keywords, int axis)
{
    const Value *padding = find(keywords, "padding");
    Axis a = {.size = x->size[axis + 2], .kernel = w->size[axis + 2]};
    a.stride = number(find(keywords, "stride"), axis, 1);
    a.dilation = number(find(keywords, "dilation"), axis, 1);
    long span = a.dilation * (a.kernel - 1) + 1, total;
    a.before = pad(padding, axis, 0);
    if (a.before < 0) {
        total = ((a.size + a.stride - 1) / a.stride - 1) * a.stride + span - a.size;
        total = total > 0 ? total : 0;
        a.before = total / 2;
    } else {
        total = a.before + pad(padding, axis, 1);
    }
    a.out = (a.size + total - span) / a.stride + 1;
    return a;
}

/* Split an index in C order into one for each axis. */
static void split(long index, int axes, const long *size, long *parts)
{
    for (int i = axes - 1; i >= 0; i--) {
        parts[i] = index % size[i];
        index /= size[i];
    }
}

static Array conv_output(const Array *x, const Array *w, const Value *keywords)
{
    long size[RANKS] = {x->size[0], w->size[0]};
    for (int i = 0; i < x->axes - 2; i++)
        size[i + 2] = axis_of(x, w, keywords, i).out;
    return zeros(x->axes, size);
}

/* For every product w·x in the convolution: z += w·x forward; dx += dz·w and dw += dz·x backward. */
static void products(Array *z, Array *x, Array *w, Array *dx, Array *dw, const Value *keywords)
{
    int rank = x->axes - 2;
    Axis axes[RANKS];
    for (int i = 0; i < rank; i++)
        axes[i] = axis_of(x, w, keywords, i);
    long per_group = w->size[0] / number(find(keywords, "groups"), 0, 1), taps = count(w) / w->size[0];
    for (long iz = 0, n = count(z); iz < n; iz++) {
        long o[RANKS], k[RANKS];
        split(iz, z->axes, z->size, o);
        for (long tap = 0; tap < taps; tap++) {
            split(tap, w->axes - 1, w->size + 1, k);
            long ix = o[0] * x->size[1] + o[1] / per_group * w->size[1] + k[0];
            int inside = 1;
            for (int i = 0; i < rank && inside; i++) {
                long t = k[i + 1];
#ifdef FLIPPED
                t = axes[i].kernel - 1 - t;
#endif
                long place = o[i + 2] * axes[i].stride + t * axes[i].dilation - axes[i].before;
                inside = place >= 0 && place < axes[i].size;
                ix = ix * axes[i].size + place;
            }
            if (!inside)
                continue;
            long iw = o[1] * taps + tap;
            if (dx) {
                dx->data[ix] += z->data[iz] * w->data[iw];
                dw->data[iw] += z->data[iz] * x->data[ix];
            } else {
                z->data[iz] += w->data[iw] * x->data[ix];
            }
        }
    }
}

static Array transposed(const Array *w)
{
    Array t = zeros(2, (long[]){w->size[1], w->size[0]});
    for (long i = 0; i < w->size[0]; i++)
        for (long j = 0; j < w->size[1]; j++)
            t.data[j * w->size[0] + i] = w->data[i * w->size[1] + j];
    return t;
}

static void add_bias(Array *z, const Array *b)
{
    long inner = count(z) / (z->size[0] * z->size[1]);
    for (long i = 0, n = count(z); b && i < n; i++)
        z->data[i] += b->data[i / inner % b->size[0]];
}

static Array bias_gradient(const Array *dz)
{
    Array db = zeros(1, dz->size + 1);
    long inner = count(dz) / (dz->size[0] * dz->size[1]);
    for (long i = 0, n = count(dz); i < n; i++)
        db.data[i / inner % db.size[0]] += dz->data[i];
    return db;
}

static int conv_forward(Array *x, Array *w, Array *b, const Value *keywords, Array *z)
{
    *z = conv_output(x, w, keywords);
    products(z, x, w, NULL, NULL, keywords);
    add_bias(z, b);
    return 1;
}

static int conv_backward(Array *dz, Array *x, Array *w, const Value *keywords, Array *dx, Array *dw, Array *db)
{
    *dx = zeros(x->axes, x->size);
    *dw = zeros(w->axes, w->size);
    *db = bias_gradient(dz);
    products(dz, x, w, dx, dw, keywords);
    return 1;
}

/* A dense layer is a convolution of no axes, with w (m, n) as a kernel (n, m). */
static int dense_forward(Array *x, Array *w, Array *b, Array *z)
{
    Array kernel = transposed(w);
    return conv_forward(x, &kernel, b, NULL, z);
}

static int dense_backward(Array *dz, Array *x, Array *w, Array *dx, Array *dw, Array *db)
{
    Array kernel = transposed(w), dkernel;
    conv_backward(dz, x, &kernel, NULL, dx, &dkernel, db);
    *dw = transposed(&dkernel);
    return 1;
}

static int sigmoid(Array *z, Array *a)
{
    *a = zeros(z->axes, z->size);
    for (long i = 0, n = count(z); i < n; i++)
        a->data[i] = 1 / (1 + exp(-z->data[i]));
    return 1;
}

static int sigmoid_prime(Array *z, Array *a_prime)
{
    *a_prime = zeros(z->axes, z->size);
    for (long i = 0, n = count(z); i < n; i++) /* a·(1 − a) would lose the tail */
        a_prime->data[i] = 1 / (1 + exp(-z->data[i])) / (1 + exp(z->data[i]));
    return 1;
}

/* ---- the protocol */

static const char *GREETING =
    "\"protocol\":1,\"functions\":{\"conv_forward\":[\"stride\",\"padding\",\"dilation\",\"groups\"],"
    "\"conv_backward\":[\"stride\",\"padding\",\"dilation\",\"groups\"],"
    "\"dense_forward\":[],\"dense_backward\":[],\"sigmoid\":[],\"sigmoid_prime\":[]}}\n";

/* Read the arguments; return 0 for a dtype other than double and float. */
static int read_arguments(const Value *arguments, Array *x, Array *w, Array *b, Array *z, Array *dz)
{
    struct {
        const char *name;
        Array *array;
    } named[] = {{"x", x}, {"w", w}, {"b", b}, {"z", z}, {"dz", dz}};
    for (size_t i = 0; i < sizeof named / sizeof *named; i++) {
        const Value *value = find(arguments, named[i].name);
        const char *dtype = text_of(find(value, "dtype"));
        if (!value)
            continue;
        single = !strcmp(dtype, "float32");
        if (!single && strcmp(dtype, "float64"))
            return 0;
        *named[i].array = read_array(value);
    }
    return 1;
}

static void answer(const Value *request)
{
    static const char *gradients[] = {"dx", "dw", "db"};
    const char *ask = text_of(find(request, "ask")), *name = "z";
    const Value *keywords = find(request, "keywords");
    Array x = {0}, w = {0}, b = {0}, z = {0}, dz = {0}, out[3] = {{0}};
    int done = 0, written = 0;
    printf("{\"id\":%ld,", (long)find(request, "id")->number);
    if (!strcmp(ask, "hello")) {
        printf("%s", GREETING);
        return;
    }
    if (!read_arguments(find(request, "arguments"), &x, &w, &b, &z, &dz)) {
        done = 0;
    } else if (!strcmp(ask, "conv_forward")) {
        done = conv_forward(&x, &w, b.data ? &b : NULL, keywords, out);
    } else if (!strcmp(ask, "conv_backward")) {
        done = conv_backward(&dz, &x, &w, keywords, out, out + 1, out + 2);
    } else if (!strcmp(ask, "dense_forward")) {
        done = dense_forward(&x, &w, b.data ? &b : NULL, out);
    } else if (!strcmp(ask, "dense_backward")) {
        done = dense_backward(&dz, &x, &w, out, out + 1, out + 2);
    } else if (!strcmp(ask, "sigmoid")) {
        name = "a";
        done = sigmoid(&z, out);
    } else if (!strcmp(ask, "sigmoid_prime")) {
        name = "a_prime";
        done = sigmoid_prime(&z, out);
    }
    if (!done) {
        printf("\"error\":\"\",\"kind\":\"not implemented\"}\n");
        return;
    }
    printf("\"outputs\":{");
    for (int i = 0; i < 3; i++)
        if (out[i].data)
            write_array(dz.data ? gradients[i] : name, &out[i], !written++);
    printf("}}\n");
}

int main(void)
{
    char *line = NULL;
    size_t room = 0, used;
    for (;;) {
        for (used = 0;; used += strlen(line + used)) {
            if (used && line[used - 1] == '\n')
                break;
            if (room - used < 2 && !(line = realloc(line, room = 2 * room + 4096)))
                return 1;
            if (!fgets(line + used, room - used > 1 << 30 ? 1 << 30 : (int)(room - used), stdin))
                return 0;
        }
        at = line;
        answer(read_value(0));
        fflush(stdout);
        release();
    }
}
