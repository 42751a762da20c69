/* Your layers, ready to be checked: fill in the functions in the middle, as many as you have.

       cc -O2 -o layers @FILE@ -lm
       reference-cnn check "exec:./layers"

   Above and below them is the protocol of reference_cnn (spec/protocol.md): float64 and float32, as text. */

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

/* ---- the layers

   Each returns 1 when it has made its outputs, and 0 as long as it is not implemented. An array has `axes`, a `size`
   for each, and its `data` in C order; `zeros` makes one, whose memory is freed after the answer. An output that you
   leave alone is not offered. b is NULL where there is none. Options: number(find(keywords, "stride"), axis, 1), and
   pad(find(keywords, "padding"), axis, side); return 0 for those that you do not have. */

/* z[n, f, o] = b[f] + sum over c, k of w[f, c, k] * x[n, c, o * stride + k * dilation - padding] */
static int conv_forward(Array *x, Array *w, Array *b, const Value *keywords, Array *z)
{
    (void)x, (void)w, (void)b, (void)keywords, (void)z, (void)number, (void)pad, (void)zeros;
    return 0;
}

/* the gradients of the error for x, w and b, given dz, the one for z */
static int conv_backward(Array *dz, Array *x, Array *w, const Value *keywords, Array *dx, Array *dw, Array *db)
{
    (void)dz, (void)x, (void)w, (void)keywords, (void)dx, (void)dw, (void)db;
    return 0;
}

/* z = x w + b, with x (n, m), w (m, k) and b (k) */
static int dense_forward(Array *x, Array *w, Array *b, Array *z)
{
    (void)x, (void)w, (void)b, (void)z;
    return 0;
}

static int dense_backward(Array *dz, Array *x, Array *w, Array *dx, Array *dw, Array *db)
{
    (void)dz, (void)x, (void)w, (void)dx, (void)dw, (void)db;
    return 0;
}

/* a = 1 / (1 + exp(-z)) */
static int sigmoid(Array *z, Array *a)
{
    (void)z, (void)a;
    return 0;
}

/* the derivative of sigmoid at z */
static int sigmoid_prime(Array *z, Array *a_prime)
{
    (void)z, (void)a_prime;
    return 0;
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
