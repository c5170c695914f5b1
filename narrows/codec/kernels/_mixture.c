/* The kernels of mixtures that are given as arrays; residual/mixture.py has the formulas. */

#include "_mixture.h"

/* The distributions of n values; the numbers of component k are at index k · n. */
typedef struct {
    const int32_t *weights, *scales, *sigmoid;
    const int64_t *means, *lows, *slopes;
    size n, n_components;
    int64_t window;
} Mixtures;

/* The lengths of the arrays. */
typedef struct {
    size weights, means, scales, lows, sigmoid, slopes;
} Sizes;

/* Parse weights, means, scales, lows, window, sigmoid and slopes. */
static Mixtures take_mixtures(Arguments *a, Sizes *n)
{
    Mixtures m = {0};
    m.weights = array(a, "weights", INT32S, READ, &n->weights);
    m.means = array(a, "means", INT64S, READ, &n->means);
    m.scales = array(a, "scales", INT32S, READ, &n->scales);
    m.lows = array(a, "lows", INT64S, READ, &n->lows);
    m.window = integer(a, "window");
    m.sigmoid = array(a, "sigmoid", INT32S, READ, &n->sigmoid);
    m.slopes = array(a, "slopes", INT64S, READ, &n->slopes);
    return m;
}

/* Set the numbers of values and components; return whether the arrays, for n values, fit together. */
static int are_mixtures(Mixtures *m, const Sizes *sizes, size n)
{
    if (n < 1 || sizes->lows != n || sizes->weights % n || sizes->sigmoid != N_SIGMOID || sizes->slopes != N_SCALES)
        return 0;
    m->n = n, m->n_components = sizes->weights / n;
    if (m->n_components < 1 || m->n_components > MOST_COMPONENTS || m->window < 2 || m->window > MOST_WINDOW || sizes->means != sizes->weights ||
        sizes->scales != sizes->weights)
        return 0;
    for (size at = 0; at < sizes->scales; at++)
        if (m->scales[at] < 0 || m->scales[at] >= N_SCALES)
            return 0;
    return 1;
}

static inline Mixture of_value(const Mixtures *all, size i)
{
    Mixture one;
    mixture_start(&one, all->lows[i], all->window, all->sigmoid);
    for (size at = i; at < all->n * all->n_components; at += all->n)
        mixture_add(&one, all->weights[at], all->means[at], all->slopes[all->scales[at]]);
    return one;
}

/* intervals(weights, means, scales, lows, window, sigmoid, slopes, values, starts, frequencies, escaped) */
PyObject *intervals(PyObject *module, PyObject *args)
{
    Arguments a = {.function = "intervals", .args = args};
    Sizes sizes;
    size n, n_starts, n_frequencies, n_escaped;
    Mixtures m = take_mixtures(&a, &sizes);
    const int64_t *values = array(&a, "values", INT64S, READ, &n);
    uint16_t *starts = array(&a, "starts", UINT16S, WRITTEN, &n_starts);
    uint16_t *frequencies = array(&a, "frequencies", UINT16S, WRITTEN, &n_frequencies);
    uint8_t *escaped = array(&a, "escaped", BOOLS, WRITTEN, &n_escaped);
    (void)module;
    if (!is_complete(&a))
        return NULL;
    if (n && !(n_starts == n && n_frequencies == n && n_escaped == n && are_mixtures(&m, &sizes, n)))
        return refuse(&a, "invalid sizes or scales");
    Py_BEGIN_ALLOW_THREADS
    for (size i = 0; i < n; i++) {
        uint64_t far = (uint64_t)values[i] - (uint64_t)m.lows[i];
        int64_t j = far >= (uint64_t)(m.window - 1) ? m.window - 1 : (int64_t)far;
        Mixture one = of_value(&m, i);
        escaped[i] = j == m.window - 1;
        mixture_place(&one, j, starts + i, frequencies + i);
    }
    Py_END_ALLOW_THREADS
    release(&a);
    Py_RETURN_NONE;
}

/* pop_mixture(weights, means, scales, lows, window, sigmoid, slopes, states, words, n_read, places)
   -> number of words read, -1 if too few */
PyObject *pop_mixture(PyObject *module, PyObject *args)
{
    Arguments a = {.function = "pop_mixture", .args = args};
    Sizes sizes;
    size n;
    Mixtures m = take_mixtures(&a, &sizes);
    Message message = take_message(&a);
    int64_t *places = array(&a, "places", INT64S, WRITTEN, &n);
    (void)module;
    if (!is_complete(&a))
        return NULL;
    if (message.n_lanes < 1 || message.read < 0 || (n && !are_mixtures(&m, &sizes, n)))
        return refuse(&a, "invalid sizes or scales");
    Py_BEGIN_ALLOW_THREADS
    for (size i = 0, lane = 0; i < n && message.read >= 0; i++) {
        Mixture one = of_value(&m, i);
        places[i] = mixture_pop(&one, &message, lane);
        lane = lane + 1 == message.n_lanes ? 0 : lane + 1;
    }
    Py_END_ALLOW_THREADS
    release(&a);
    return PyLong_FromSsize_t(message.read);
}
