/* The codec's inner loops. Each does what the NumPy code beside its call does, to the same bits: tests compare them.

   Arrays come through the buffer protocol, so that no header but Python's own is needed. Whoever calls vouches for
   dtypes and C order; lengths and whatever a hostile file could have put into the arrays are checked here. Buffers must
   not stand in nested tuples of arguments: PyArg_ParseTuple keeps too little room for them. */

#include "_inner.h"

#define MAX_SYMBOL 32767

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
    size n_lanes = b[0].len / 8, n = b[4].len / 4, n_words = b[3].len / 2;
    int64_t *states = b[0].buf;
    const int64_t *lookup = b[1].buf, *tables = b[2].len ? b[2].buf : NULL;
    const uint16_t *words = b[3].buf;
    int32_t *values = b[4].buf;
    int wrong = n_lanes < 1 || precision < 1 || precision > 16 || read < 0 || (tables && b[2].len != n * 8);
    if (!wrong) {
        uint32_t mask = (1u << precision) - 1;
        size lane = 0, n_tables = (b[1].len / 8) >> precision;
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

static PyMethodDef methods[] = {
    {"push", push, METH_VARARGS, NULL},
    {"pop", pop, METH_VARARGS, NULL},
    {"predict", predict, METH_VARARGS, NULL},
    {"place", place, METH_VARARGS, NULL},
    {"pop_mixture", pop_mixture, METH_VARARGS, NULL},
    {"linear_look", linear_look, METH_VARARGS, NULL},
    {"linear_place", linear_place, METH_VARARGS, NULL},
    {"linear_pop", linear_pop, METH_VARARGS, NULL},
    {"causal", causal, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "_inner", NULL, 0, methods, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__inner(void) { return PyModuleDef_Init(&definition); }
