/* The codec's kernels. Each computes the same bits as the NumPy code beside its call; tests compare the two.

   Arrays are passed through the buffer protocol, so that only Python's own header is needed. Their dtypes, order
   (_arguments.c) and lengths, and all values that may come from an untrusted file, are checked here. */

#include "_kernels.h"

#define MAX_SYMBOL 32767

/* Encode one block of symbols with starts c and frequencies f, last record first; fill the buffer of words from its end.
   room is the length of the buffer, used the number of words in it. Return the new number, or -1 if it is full. */
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

/* push(states, starts, frequencies, n, precision, words) -> number of words, at the end of the buffer */
static PyObject *push(PyObject *module, PyObject *args)
{
    Arguments a = {.function = "push", .args = args};
    size n_lanes, total, n_frequencies, room, used = 0;
    uint32_t *states = array(&a, "states", UINT32S, WRITTEN, &n_lanes);
    const uint16_t *starts = array(&a, "starts", UINT16S, READ, &total);
    const uint16_t *frequencies = array(&a, "frequencies", UINT16S, READ, &n_frequencies);
    int64_t n = integer(&a, "n"), precision = integer(&a, "precision");
    uint16_t *words = array(&a, "words", UINT16S, WRITTEN, &room);
    (void)module;
    if (!is_complete(&a))
        return NULL;
    int wrong = n_lanes < 1 || n < 1 || total % n || n_frequencies != total || precision < 1 || precision > 16;
    if (!wrong) {
        Py_BEGIN_ALLOW_THREADS
        for (size i = 0; i < total && !wrong; i++)
            wrong = frequencies[i] == 0;
        for (size at = total - n; at >= 0 && !wrong; at -= n) {
            used = push_block(states, n_lanes, starts + at, frequencies + at, n, (int)precision, words, room, used);
            wrong = used < 0;
        }
        Py_END_ALLOW_THREADS
    }
    if (wrong)
        return refuse(&a, "invalid sizes or frequencies");
    release(&a);
    return PyLong_FromSsize_t(used);
}

/* pop(states, lookup, tables, first_table, precision, words, n_read, values) -> number of words read, -1 if too few.
   A slot of the lookup is frequency | distance from the entry's start << 16 | value << 32. */
static PyObject *pop(PyObject *module, PyObject *args)
{
    Arguments a = {.function = "pop", .args = args};
    size n_lanes, n_slots, n_chosen, n_words, n;
    int64_t *states = array(&a, "states", INT64S, WRITTEN, &n_lanes);
    const int64_t *lookup = array(&a, "lookup", INT64S, READ, &n_slots);
    const int64_t *tables = array(&a, "tables", INT64S, READ, &n_chosen);
    int64_t table = integer(&a, "first_table"), precision = integer(&a, "precision");
    const uint16_t *words = array(&a, "words", UINT16S, READ, &n_words);
    int64_t read = integer(&a, "n_read");
    int32_t *values = array(&a, "values", INT32S, WRITTEN, &n);
    (void)module;
    if (!is_complete(&a))
        return NULL;
    int wrong = n_lanes < 1 || precision < 1 || precision > 16 || read < 0 || (n_chosen && n_chosen != n);
    if (!wrong) {
        uint32_t mask = (1u << precision) - 1;
        size lane = 0, n_tables = n_slots >> precision;
        Py_BEGIN_ALLOW_THREADS
        for (size i = 0; i < n; i++) {
            int64_t t = n_chosen ? tables[i] : table;
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
    if (wrong)
        return refuse(&a, "invalid sizes or tables");
    release(&a);
    return PyLong_FromLongLong(read);
}

/* round(value / 2^shift), halves up */
static inline int64_t shifted(int64_t value, int64_t shift)
{
    return shift ? (value + ((int64_t)1 << (shift - 1))) >> shift : value;
}

FOR_EVERY_CPU
static void predict_records(int32_t *hidden, const int8_t *seen, const int32_t *weights_in, const double *weights_out,
                            const int64_t *biases, size n, size n_hidden, const int64_t *shifts, int64_t n_scales,
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
            location += a * to_location[h]; /* integers below 2^53: exact in any order */
            scale += a * to_scale[h];
        }
        int64_t m = shifted((int64_t)location + biases[0], shifts[0]);
        int64_t k = clip(shifted((int64_t)scale + biases[1], shifts[1]), 0, n_scales - 1);
        offsets[i] = (int32_t)clip(m >> phase_bits, -MAX_SYMBOL, MAX_SYMBOL);
        contexts[i] = k << phase_bits | (m & (((int64_t)1 << phase_bits) - 1));
    }
}

/* predict(hidden, seen, weights_in, weights_out, biases, shifts, n_scales, phase_bits, offsets, contexts): add
   seen · weights_in to the hidden values, in place, unless seen is empty; write offsets and contexts. */
static PyObject *predict(PyObject *module, PyObject *args)
{
    Arguments a = {.function = "predict", .args = args};
    size n_values, n_seen, n_hidden, n_out, n_biases, n, n_contexts;
    int64_t shifts[2];
    int32_t *hidden = array(&a, "hidden", INT32S, WRITTEN, &n_values);
    const int8_t *seen = array(&a, "seen", INT8S, READ, &n_seen);
    const int32_t *weights_in = array(&a, "weights_in", INT32S, READ, &n_hidden);
    const double *weights_out = array(&a, "weights_out", FLOAT64S, READ, &n_out);
    const int64_t *biases = array(&a, "biases", INT64S, READ, &n_biases);
    integers(&a, "shifts", shifts, 2);
    int64_t n_scales = integer(&a, "n_scales"), phase_bits = integer(&a, "phase_bits");
    int32_t *offsets = array(&a, "offsets", INT32S, WRITTEN, &n);
    int64_t *contexts = array(&a, "contexts", INT64S, WRITTEN, &n_contexts);
    (void)module;
    if (!is_complete(&a))
        return NULL;
    if (n_values != n * n_hidden || (n_seen && n_seen != n) || n_out != 2 * n_hidden || n_biases != 2 ||
        n_contexts != n || shifts[0] < 0 || shifts[0] > 62 || shifts[1] < 0 || shifts[1] > 62 || n_scales < 1 ||
        phase_bits < 0 || phase_bits > 31)
        return refuse(&a, "inconsistent sizes");
    Py_BEGIN_ALLOW_THREADS
    predict_records(hidden, n_seen ? seen : NULL, weights_in, weights_out, biases, n, n_hidden, shifts, n_scales,
                    (int)phase_bits, offsets, contexts);
    Py_END_ALLOW_THREADS
    release(&a);
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"push", push, METH_VARARGS, NULL},
    {"pop", pop, METH_VARARGS, NULL},
    {"predict", predict, METH_VARARGS, NULL},
    {"intervals", intervals, METH_VARARGS, NULL},
    {"pop_mixture", pop_mixture, METH_VARARGS, NULL},
    {"linear_errors", linear_errors, METH_VARARGS, NULL},
    {"linear_intervals", linear_intervals, METH_VARARGS, NULL},
    {"linear_pop", linear_pop, METH_VARARGS, NULL},
    {"causal", causal, METH_VARARGS, NULL},
    {"causal_intervals", causal_intervals, METH_VARARGS, NULL},
    {"causal_pop", causal_pop, METH_VARARGS, NULL},
    {"interpolate", interpolate, METH_VARARGS, NULL},
    {"neighbours", neighbours, METH_VARARGS, NULL},
    {"bisect", bisect, METH_VARARGS, NULL},
    {"text_records", text_records, METH_VARARGS, NULL},
    {"columns_nodes", columns_nodes, METH_VARARGS, NULL},
    {"columns_rows", columns_rows, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "_kernels", NULL, 0, methods, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__kernels(void) { return PyModuleDef_Init(&definition); }
