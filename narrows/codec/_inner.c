/* The codec's inner loops. Each does what the NumPy code beside its call does, to the same bits: tests compare them.

   Arrays come through the buffer protocol, so that no header but Python's own is needed. Whoever calls vouches for
   dtypes and C order; lengths and whatever a hostile file could have put into the arrays are checked here. */

#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>
#include <stdint.h>

#if defined(__x86_64__) && defined(__linux__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__)
#define FOR_EVERY_CPU __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define FOR_EVERY_CPU
#endif

#define LOWEST 65536u
#define MAX_SYMBOL 32767

typedef Py_ssize_t size;

static void release(Py_buffer *buffers, int n)
{
    for (int i = 0; i < n; i++)
        PyBuffer_Release(&buffers[i]);
}

/* Encode one block: symbols that start at c and have the frequency f, last record first; write words from the end of
   their room on. Return how many words are in use, or -1 if the room is too small. */
static size push_block(uint32_t *x, size n_lanes, const uint16_t *c, const uint16_t *f, size n, int precision,
                       uint16_t *words, size room, size used)
{
    size lane = (n - 1) % n_lanes;
    for (size i = n - 1; i >= 0; i--) {
        uint32_t state = x[lane], frequency = f[i];
        if ((uint64_t)state >= (uint64_t)frequency << (32 - precision)) {
            if (used == room)
                return -1;
            words[room - ++used] = (uint16_t)state;
            state >>= 16;
        }
        x[lane] = ((state / frequency) << precision) + state % frequency + c[i];
        lane = lane ? lane - 1 : n_lanes - 1;
    }
    return used;
}

/* push(states, starts, frequencies, n, precision, words) -> number of words, which are the last of their room */
static PyObject *push(PyObject *module, PyObject *args)
{
    Py_buffer b[4];
    size n;
    int precision;
    (void)module;
    if (!PyArg_ParseTuple(args, "w*y*y*niw*", &b[0], &b[1], &b[2], &n, &precision, &b[3]))
        return NULL;
    size n_lanes = b[0].len / 4, total = b[1].len / 2, room = b[3].len / 2, used = 0;
    const uint16_t *starts = b[1].buf, *frequencies = b[2].buf;
    int wrong = n_lanes < 1 || n < 1 || total % n || b[2].len != b[1].len || precision < 1 || precision > 16;
    if (!wrong) {
        Py_BEGIN_ALLOW_THREADS
        for (size i = 0; i < total && !wrong; i++)
            wrong = frequencies[i] == 0;
        for (size at = total - n; at >= 0 && !wrong; at -= n) {
            used = push_block(b[0].buf, n_lanes, starts + at, frequencies + at, n, precision, b[3].buf, room, used);
            wrong = used < 0;
        }
        Py_END_ALLOW_THREADS
    }
    release(b, 4);
    if (wrong) {
        PyErr_SetString(PyExc_ValueError, "push: sizes or frequencies that cannot be");
        return NULL;
    }
    return PyLong_FromSsize_t(used);
}

/* pop(states, lookup, tables, first_table, precision, words, n_read, values) -> number of words read, -1 if too few.
   The slots of the lookup are frequency | distance from the entry's start << 16 | value << 32. */
static PyObject *pop(PyObject *module, PyObject *args)
{
    Py_buffer b[5];
    size table, read;
    int precision;
    (void)module;
    if (!PyArg_ParseTuple(args, "w*y*y*niy*nw*", &b[0], &b[1], &b[2], &table, &precision, &b[3], &read, &b[4]))
        return NULL;
    size n_lanes = b[0].len / 8, n = b[4].len / 4, n_words = b[3].len / 2, n_tables = (b[1].len / 8) >> precision;
    int64_t *states = b[0].buf;
    const int64_t *lookup = b[1].buf, *tables = b[2].len ? b[2].buf : NULL;
    const uint16_t *words = b[3].buf;
    int32_t *values = b[4].buf;
    int wrong = n_lanes < 1 || precision < 1 || precision > 16 || read < 0 || (tables && b[2].len != n * 8);
    if (!wrong) {
        uint32_t mask = (1u << precision) - 1;
        size lane = 0;
        Py_BEGIN_ALLOW_THREADS
        for (size i = 0; i < n; i++) {
            size t = tables ? (size)tables[i] : table;
            if (t < 0 || t >= n_tables) {
                wrong = 1;
                break;
            }
            uint32_t x = (uint32_t)states[lane];
            int64_t entry = lookup[((size)t << precision) + (x & mask)];
            x = (uint32_t)(entry & 0xFFFF) * (x >> precision) + (uint32_t)(entry >> 16 & 0xFFFF);
            if (x < LOWEST) {
                if (read >= n_words) {
                    read = -1;
                    break;
                }
                x = x << 16 | words[read++];
            }
            states[lane] = x;
            values[i] = (int32_t)(entry >> 32);
            lane = lane + 1 == n_lanes ? 0 : lane + 1;
        }
        Py_END_ALLOW_THREADS
    }
    release(b, 5);
    if (wrong) {
        PyErr_SetString(PyExc_ValueError, "pop: sizes or tables that cannot be");
        return NULL;
    }
    return PyLong_FromSsize_t(read);
}

static inline int64_t clip(int64_t value, int64_t low, int64_t high)
{
    return value < low ? low : value > high ? high : value;
}

/* round(value / 2^shift), halves up */
static inline int64_t shifted(int64_t value, int shift)
{
    return shift ? (value + ((int64_t)1 << (shift - 1))) >> shift : value;
}

FOR_EVERY_CPU
static void predict_records(int32_t *hidden, const int8_t *seen, const int32_t *weights_in, const double *weights_out,
                            const int64_t *biases, size n, size n_hidden, const int *shifts, int64_t n_scales,
                            int phase_bits, int32_t *offsets, int64_t *contexts)
{
    const double *to_location = weights_out, *to_scale = weights_out + n_hidden;
    for (size i = 0; i < n; i++) {
        int32_t *e = hidden + i * n_hidden, s = seen ? seen[i] : 0;
        double location = 0, scale = 0;
        #pragma omp simd reduction(+ : location, scale)
        for (size h = 0; h < n_hidden; h++) {
            int32_t value = e[h] + s * weights_in[h];
            e[h] = value;
            double a = value > 0 ? value : 0;
            location += a * to_location[h]; /* whole numbers below 2^53: exact in any order */
            scale += a * to_scale[h];
        }
        int64_t m = shifted((int64_t)location + biases[0], shifts[0]);
        int64_t k = clip(shifted((int64_t)scale + biases[1], shifts[1]), 0, n_scales - 1);
        offsets[i] = (int32_t)clip(m >> phase_bits, -MAX_SYMBOL, MAX_SYMBOL);
        contexts[i] = k << phase_bits | (m & (((int64_t)1 << phase_bits) - 1));
    }
}

/* predict(hidden, seen, weights_in, weights_out, biases, shifts, n_scales, phase_bits, offsets, contexts): add
   seen · weights_in to the hidden values, in place, unless seen is empty; write what they say. */
static PyObject *predict(PyObject *module, PyObject *args)
{
    Py_buffer b[7];
    int shifts[2], n_scales, phase_bits;
    (void)module;
    if (!PyArg_ParseTuple(args, "w*y*y*y*y*(ii)iiw*w*", &b[0], &b[1], &b[2], &b[3], &b[4], &shifts[0], &shifts[1],
                          &n_scales, &phase_bits, &b[5], &b[6]))
        return NULL;
    size n = b[5].len / 4, n_hidden = b[2].len / 4;
    int wrong = b[0].len != n * n_hidden * 4 || (b[1].len && b[1].len != n) || b[3].len != n_hidden * 16 ||
                b[4].len != 16 || b[6].len != n * 8;
    if (!wrong) {
        Py_BEGIN_ALLOW_THREADS
        predict_records(b[0].buf, b[1].len ? b[1].buf : NULL, b[2].buf, b[3].buf, b[4].buf, n, n_hidden, shifts,
                        n_scales, phase_bits, b[5].buf, b[6].buf);
        Py_END_ALLOW_THREADS
    }
    release(b, 7);
    if (wrong) {
        PyErr_SetString(PyExc_ValueError, "predict: sizes that do not fit together");
        return NULL;
    }
    Py_RETURN_NONE;
}

/* What a mixture of logistics says of one value: residual/mixture.py has the formulas. */
typedef struct {
    const int32_t *weights, *scales;
    const int64_t *means, *lows;
    const int32_t *sigmoid; /* 4097 */
    const int64_t *slopes;  /* 64 */
    size n, n_components;
    int64_t window;
} Mixture;

#define MOST_DISTANCE ((int64_t)1 << 24)

static inline int64_t mixture_sum(const Mixture *m, size i, int64_t j)
{
    if (j <= 0)
        return 0;
    if (j >= m->window - 1)
        return j == m->window ? 65536 : 65535;
    int64_t mass = 0, edge = 16 * (m->lows[i] + j) - 8;
    for (size k = 0; k < m->n_components; k++) {
        size at = k * m->n + i;
        int64_t distance = clip(edge - m->means[at], -MOST_DISTANCE, MOST_DISTANCE);
        int64_t z = clip(distance * m->slopes[m->scales[at]] >> 16, -2048, 2048);
        mass += (int64_t)m->weights[at] * m->sigmoid[2048 + z];
    }
    return j + ((65536 - m->window) * mass >> 31);
}

#define MIXTURE_BUFFERS 6

/* Fill in a mixture from weights, means, scales, lows, sigmoid and slopes; return whether they fit together. */
static int is_mixture(Mixture *m, Py_buffer *b, size n)
{
    *m = (Mixture){b[0].buf, b[2].buf, b[1].buf, b[3].buf, b[4].buf, b[5].buf, n, 0, m->window};
    if (n < 1 || b[3].len != n * 8 || b[0].len % (n * 4) || b[4].len != 4097 * 4 || b[5].len != 64 * 8)
        return 0;
    m->n_components = b[0].len / (n * 4);
    if (m->window < 2 || m->window > 8192 || b[1].len != 2 * b[0].len || b[2].len != b[0].len)
        return 0;
    for (size at = 0; at < m->n_components * n; at++)
        if (m->scales[at] < 0 || m->scales[at] > 63)
            return 0;
    return 1;
}

/* place(weights, means, scales, lows, window, sigmoid, slopes, values, starts, frequencies, escaped) */
static PyObject *place(PyObject *module, PyObject *args)
{
    Py_buffer b[10];
    Mixture m;
    long long window;
    (void)module;
    if (!PyArg_ParseTuple(args, "y*y*y*y*Ly*y*y*w*w*w*", &b[0], &b[1], &b[2], &b[3], &window, &b[4], &b[5], &b[6],
                          &b[7], &b[8], &b[9]))
        return NULL;
    size n = b[6].len / 8;
    m.window = window;
    int right = n == 0 || (b[7].len == n * 2 && b[8].len == n * 2 && b[9].len == n && is_mixture(&m, b, n));
    if (right) {
        const int64_t *values = b[6].buf;
        uint16_t *starts = b[7].buf, *frequencies = b[8].buf;
        uint8_t *escaped = b[9].buf;
        Py_BEGIN_ALLOW_THREADS
        for (size i = 0; i < n; i++) {
            uint64_t far = (uint64_t)values[i] - (uint64_t)m.lows[i];
            int64_t j = far >= (uint64_t)(window - 1) ? window - 1 : (int64_t)far, start = mixture_sum(&m, i, j);
            escaped[i] = j == window - 1;
            starts[i] = (uint16_t)start;
            frequencies[i] = (uint16_t)(mixture_sum(&m, i, j + 1) - start);
        }
        Py_END_ALLOW_THREADS
    }
    release(b, 10);
    if (!right) {
        PyErr_SetString(PyExc_ValueError, "place: sizes or scales that cannot be");
        return NULL;
    }
    Py_RETURN_NONE;
}

/* pop_mixture(weights, means, scales, lows, window, sigmoid, slopes, states, words, n_read, places)
   -> number of words read, -1 if too few */
static PyObject *pop_mixture(PyObject *module, PyObject *args)
{
    Py_buffer b[9];
    Mixture m;
    long long window;
    size read;
    (void)module;
    if (!PyArg_ParseTuple(args, "y*y*y*y*Ly*y*w*y*nw*", &b[0], &b[1], &b[2], &b[3], &window, &b[4], &b[5], &b[6],
                          &b[7], &read, &b[8]))
        return NULL;
    size n = b[8].len / 8, n_lanes = b[6].len / 8, n_words = b[7].len / 2;
    m.window = window;
    int right = n_lanes >= 1 && read >= 0 && (n == 0 || is_mixture(&m, b, n));
    if (right) {
        int64_t *states = b[6].buf, *places = b[8].buf;
        const uint16_t *words = b[7].buf;
        size lane = 0;
        Py_BEGIN_ALLOW_THREADS
        for (size i = 0; i < n; i++) {
            uint32_t x = (uint32_t)states[lane], slot = x & 0xFFFF;
            int64_t low = 0, high = window, start = 0, end = 65536; /* F(low) <= slot < F(high) */
            while (high - low > 1) {
                int64_t middle = (low + high) >> 1, sum = mixture_sum(&m, i, middle);
                if (sum <= slot) {
                    low = middle;
                    start = sum;
                } else {
                    high = middle;
                    end = sum;
                }
            }
            x = (uint32_t)(end - start) * (x >> 16) + slot - (uint32_t)start;
            if (x < LOWEST) {
                if (read >= n_words) {
                    read = -1;
                    break;
                }
                x = x << 16 | words[read++];
            }
            states[lane] = x;
            places[i] = low;
            lane = lane + 1 == n_lanes ? 0 : lane + 1;
        }
        Py_END_ALLOW_THREADS
    }
    release(b, 9);
    if (!right) {
        PyErr_SetString(PyExc_ValueError, "pop_mixture: sizes or scales that cannot be");
        return NULL;
    }
    return PyLong_FromSsize_t(read);
}

static PyMethodDef methods[] = {
    {"push", push, METH_VARARGS, NULL},
    {"pop", pop, METH_VARARGS, NULL},
    {"predict", predict, METH_VARARGS, NULL},
    {"place", place, METH_VARARGS, NULL},
    {"pop_mixture", pop_mixture, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "_inner", NULL, 0, methods, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__inner(void) { return PyModuleDef_Init(&definition); }
