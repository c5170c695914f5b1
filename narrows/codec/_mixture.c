/* The inner loops of mixtures that are told in arrays; residual/mixture.py has the formulas. */

#include "_mixture.h"

/* Fill in a mixture from weights, means, scales, lows, sigmoid and slopes of n values; return whether they fit. */
static int is_mixture(Mixture *m, Py_buffer *b, size n)
{
    *m = (Mixture){b[0].buf, b[2].buf, b[1].buf, n, 0, 0, m->window, b[4].buf, b[5].buf};
    if (n < 1 || b[3].len != n * 8 || b[0].len % (n * 4) || b[4].len != N_SIGMOID * 4 || b[5].len != N_SCALES * 8)
        return 0;
    m->n_components = b[0].len / (n * 4);
    if (m->n_components < 1 || m->window < 2 || m->window > MOST_WINDOW || b[1].len != 2 * b[0].len ||
        b[2].len != b[0].len)
        return 0;
    for (size at = 0; at < m->n_components * n; at++)
        if (m->scales[at] < 0 || m->scales[at] >= N_SCALES)
            return 0;
    return 1;
}

static inline Mixture of_value(const Mixture *m, const int64_t *lows, size i)
{
    Mixture one = *m;
    one.weights += i, one.scales += i, one.means += i, one.low = lows[i];
    return one;
}

/* place(weights, means, scales, lows, window, sigmoid, slopes, values, starts, frequencies, escaped) */
PyObject *place(PyObject *module, PyObject *args)
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
        const int64_t *values = b[6].buf, *lows = b[3].buf;
        uint16_t *starts = b[7].buf, *frequencies = b[8].buf;
        uint8_t *escaped = b[9].buf;
        Py_BEGIN_ALLOW_THREADS
        for (size i = 0; i < n; i++) {
            uint64_t far = (uint64_t)values[i] - (uint64_t)lows[i];
            int64_t j = far >= (uint64_t)(window - 1) ? window - 1 : (int64_t)far;
            Mixture one = of_value(&m, lows, i);
            escaped[i] = j == window - 1;
            mixture_place(&one, j, starts + i, frequencies + i);
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
PyObject *pop_mixture(PyObject *module, PyObject *args)
{
    Py_buffer b[9];
    Mixture m;
    long long window;
    size read;
    (void)module;
    if (!PyArg_ParseTuple(args, "y*y*y*y*Ly*y*w*y*nw*", &b[0], &b[1], &b[2], &b[3], &window, &b[4], &b[5], &b[6],
                          &b[7], &read, &b[8]))
        return NULL;
    size n = b[8].len / 8;
    Message message = {b[6].buf, b[7].buf, b[6].len / 8, b[7].len / 2, read};
    m.window = window;
    int right = message.n_lanes >= 1 && read >= 0 && (n == 0 || is_mixture(&m, b, n));
    if (right) {
        const int64_t *lows = b[3].buf;
        int64_t *places = b[8].buf;
        Py_BEGIN_ALLOW_THREADS
        for (size i = 0, lane = 0; i < n && message.read >= 0; i++) {
            Mixture one = of_value(&m, lows, i);
            places[i] = mixture_pop(&one, &message, lane);
            lane = lane + 1 == message.n_lanes ? 0 : lane + 1;
        }
        Py_END_ALLOW_THREADS
    }
    release(b, 9);
    if (!right) {
        PyErr_SetString(PyExc_ValueError, "pop_mixture: sizes or scales that cannot be");
        return NULL;
    }
    return PyLong_FromSsize_t(message.read);
}
