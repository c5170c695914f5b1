/* The inner loops of residuals: mixtures, linear prediction and causal networks. residual/mixture.py, linear.py and
   causal.py have the formulas, and what to call these with. */

#include "_inner.h"

#include <stdlib.h>

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>
#define HAS_X86 1
#endif

/* ---------------------------------------------------------------------------------------------------- mixtures */

/* What is expected of one value; what belongs to component k is k · stride further on. */
typedef struct {
    const int32_t *weights, *scales;
    const int64_t *means;
    size stride, n_components;
    int64_t low, window;
    const int32_t *sigmoid; /* 4097 */
    const int64_t *slopes;  /* 64 */
} Mixture;

#define N_SIGMOID 4097
#define N_SCALES 64
#define MOST_DISTANCE ((int64_t)1 << 24)
#define MOST_WINDOW 8192

static inline int64_t mixture_sum(const Mixture *m, int64_t j)
{
    if (j <= 0)
        return 0;
    if (j >= m->window - 1)
        return j == m->window ? 65536 : 65535;
    int64_t mass = 0, edge = 16 * (m->low + j) - 8;
    for (size k = 0; k < m->n_components; k++) {
        size at = k * m->stride;
        int64_t distance = clip(edge - m->means[at], -MOST_DISTANCE, MOST_DISTANCE);
        int64_t z = clip(distance * m->slopes[m->scales[at]] >> 16, -2048, 2048);
        mass += (int64_t)m->weights[at] * m->sigmoid[2048 + z];
    }
    return j + ((65536 - m->window) * mass >> 31);
}

/* Set start and frequency of the value at a place of the window. */
static inline void mixture_place(const Mixture *m, int64_t j, uint16_t *start, uint16_t *frequency)
{
    int64_t first = mixture_sum(m, j);
    *start = (uint16_t)first;
    *frequency = (uint16_t)(mixture_sum(m, j + 1) - first);
}

/* Return the place that a slot, below 2^16, belongs to, from where the heaviest component has its mean outwards. */
static inline int64_t mixture_find(const Mixture *m, int64_t slot, int64_t *start, int64_t *end)
{
    size heaviest = 0;
    for (size k = m->stride; k < m->n_components * m->stride; k += m->stride)
        if (m->weights[k] > m->weights[heaviest])
            heaviest = k;
    int64_t low = clip(((m->means[heaviest] + 8) >> 4) - m->low, 0, m->window - 1), high = low, step = 1;
    *start = *end = mixture_sum(m, low);
    for (; *end <= slot; step *= 2) {
        low = high, *start = *end;
        high = clip(high + step, 0, m->window), *end = mixture_sum(m, high);
    }
    for (; *start > slot; step *= 2) {
        high = low, *end = *start;
        low = clip(low - step, 0, m->window), *start = mixture_sum(m, low);
    }
    while (high - low > 1) {
        int64_t middle = (low + high) >> 1, sum = mixture_sum(m, middle);
        if (sum <= slot)
            low = middle, *start = sum;
        else
            high = middle, *end = sum;
    }
    return low;
}

/* What is left of a message. */
typedef struct {
    int64_t *states;
    const uint16_t *words;
    size n_lanes, n_words, read; /* read: -1 when there were too few words */
} Message;

/* Take the next value's place off a lane of a message. */
static inline int64_t mixture_pop(const Mixture *m, Message *message, size lane)
{
    uint32_t x = (uint32_t)message->states[lane], slot = x & 0xFFFF;
    int64_t start, end, found = mixture_find(m, slot, &start, &end);
    x = (uint32_t)(end - start) * (x >> 16) + slot - (uint32_t)start;
    if (x < LOWEST) {
        if (message->read >= message->n_words) {
            message->read = -1;
            return 0;
        }
        x = x << 16 | message->words[message->read++];
    }
    message->states[lane] = x;
    return found;
}

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

/* ------------------------------------------------------------------------------------------- linear prediction */

#define N_BINS 96
#define N_NEAREST 6
#define FURTHEST ((int64_t)1 << 60)
#define MOST_ACTIVITY ((int64_t)1 << 46)

/* Positions with the same neighbours. */
typedef struct {
    const int64_t *before, *after, *weights; /* how far away neighbours are; weights of inputs and the constant */
    size n_before, n_after;
} Pattern;

/* The records, (V, n), as far as they are known, and what predicts them. */
typedef struct {
    const int64_t *anchors, *pattern_of, *patterns, *deltas, *weights;
    int64_t *values, *errors;
    size n, n_values;
    int64_t step, coarse, lowest, highest;
    int has_code;
} Linear;

#define LINEAR_FORMAT "y*y*y*y*y*w*w*(LLLLi)"
#define LINEAR_BUFFERS 7

static inline int64_t wrapped_sum(int64_t a, int64_t b) { return (int64_t)((uint64_t)a + (uint64_t)b); }
static inline int64_t wrapped_difference(int64_t a, int64_t b) { return (int64_t)((uint64_t)a - (uint64_t)b); }
static inline int64_t wrapped_product(int64_t a, int64_t b) { return (int64_t)((uint64_t)a * (uint64_t)b); }

static inline int64_t floor_divided(int64_t a, int64_t b) /* b > 0 */
{
    int64_t whole = a / b;
    return whole - (whole * b > a);
}

/* floor(16 distance / step), within 2^60 */
static inline int64_t in_sixteenths(int64_t distance, int64_t step)
{
    if (step % 16 == 0 && (step & (step - 1)) == 0) {
        int shift = 0; /* a power of two, as all steps of floats are: then this is quicker than to divide */
        while (step >> shift > 16)
            shift++;
        return clip(distance >> shift, -FURTHEST, FURTHEST);
    }
    if (step % 16 == 0)
        return clip(floor_divided(distance, step / 16), -FURTHEST, FURTHEST);
    int64_t whole = floor_divided(distance, step), part = (distance - whole * step) * 16 / step;
    return clip(clip(whole, -FURTHEST / 8, FURTHEST / 8) * 16 + part, -FURTHEST, FURTHEST);
}

/* Return whether the numbers of a run fit together, so that no position looks outside. */
static int is_linear(Linear *l, Py_buffer *b, const long long *settings, int has_code)
{
    *l = (Linear){b[0].buf, b[1].buf, b[2].buf, b[3].buf, b[4].buf, b[5].buf, b[6].buf, 0, b[1].len / 8,
                  settings[0], settings[1], settings[2], settings[3], has_code};
    size n_patterns = b[2].len / 32, n_deltas = b[3].len / 8, n_weights = b[4].len / 8;
    if (l->n_values < 1 || b[5].len % (l->n_values * 8) || l->step < 1 || l->coarse < l->step ||
        l->lowest > l->highest || b[6].len != b[5].len || (has_code && b[0].len != b[5].len) || (!has_code && b[0].len))
        return 0;
    l->n = b[5].len / (l->n_values * 8);
    for (size p = 0; p < n_patterns; p++) {
        const int64_t *told = l->patterns + 4 * p; /* first delta, n_before, n_after, first weight */
        int64_t n_inputs = told[1] + (has_code ? 1 + told[1] + told[2] : 0);
        if (told[0] < 0 || told[1] < 0 || told[2] < 0 || told[0] + told[1] + told[2] > n_deltas || told[3] < 0 ||
            told[3] + n_inputs + 1 > n_weights)
            return 0;
    }
    for (size position = 0; position < l->n_values; position++) {
        int64_t p = l->pattern_of[position];
        if (p < 0 || p >= n_patterns)
            return 0;
        const int64_t *told = l->patterns + 4 * p;
        for (int64_t j = 0; j < told[1] + told[2]; j++) {
            int64_t delta = l->deltas[told[0] + j], place = position + delta;
            if (place < 0 || place >= l->n_values || (j < told[1] && delta >= 0))
                return 0;
        }
    }
    return 1;
}

static inline Pattern pattern_at(const Linear *l, size position)
{
    const int64_t *told = l->patterns + 4 * l->pattern_of[position], *deltas = l->deltas + told[0];
    return (Pattern){deltas, deltas + told[1], l->weights + told[3], told[1], told[2]};
}

/* total += weight · (x - x0), of some records */
static inline void add_weighted(int64_t *total, int64_t weight, const int64_t *x, const int64_t *x0, size count)
{
    for (size i = 0; i < count; i++)
        total[i] = wrapped_sum(total[i], wrapped_product(weight, wrapped_difference(x[i], x0[i])));
}

/* Records that are worked on together, and what is expected of their values at a position. */
#define BLOCK 256
typedef struct {
    size at, count; /* of the first one's value; how many */
    int64_t predictions[BLOCK], activity[BLOCK];
    uint8_t bins[BLOCK]; /* of how large errors nearby were */
} Block;

FOR_EVERY_CPU
static void predict_block(const Linear *l, const Pattern *p, Block *block)
{
    size n = l->n, count = block->count, n_near = p->n_before < N_NEAREST ? p->n_before : N_NEAREST;
    const int64_t *values = l->values + block->at, *errors = l->errors + block->at, *w = p->weights;
    const int64_t *anchors = l->has_code ? l->anchors + block->at : NULL;
    const int64_t *x0 = l->has_code ? anchors : p->n_before ? values + p->before[0] * n : NULL;
    int64_t *total = block->predictions, *activity = block->activity;
    memset(total, 0, count * sizeof *total);
    memset(activity, 0, count * sizeof *activity);
    if (x0)
        w++; /* that of x0 counts for nothing */
    for (size j = l->has_code ? 0 : 1; j < p->n_before; j++)
        add_weighted(total, *w++, values + p->before[j] * n, x0, count);
    if (l->has_code) {
        for (size j = 0; j < p->n_before; j++)
            add_weighted(total, *w++, anchors + p->before[j] * n, x0, count);
        for (size j = 0; j < p->n_after; j++)
            add_weighted(total, *w++, anchors + p->after[j] * n, x0, count);
    }
    for (size i = 0; i < count; i++)
        total[i] = clip(wrapped_sum(wrapped_sum(total[i], *w) >> 16, x0 ? x0[i] : 0), l->lowest, l->highest);
    for (size j = 0; j < n_near; j++)
        for (size i = 0; i < count; i++)
            activity[i] += errors[p->before[j] * n + i] << (j < 2);
    int64_t n_votes = n_near + (n_near < 2 ? n_near : 2);
    for (size i = 0; i < count; i++) {
        uint64_t mean = n_votes ? (uint64_t)activity[i] / n_votes : 0;
        int bits = 0;
        for (uint64_t rest = mean; rest; rest >>= 1)
            bits++;
        block->bins[i] = (uint8_t)(bits ? 2 * bits - (bits == 1 || !(mean >> (bits - 2) & 1)) : 0);
    }
}

static inline Block block_at(const Linear *l, size position, size first)
{
    Block block;
    block.at = position * l->n + first;
    block.count = l->n - first < BLOCK ? l->n - first : BLOCK;
    return block;
}

static inline int64_t anchor_of(const Linear *l, size at) { return l->has_code ? l->anchors[at] : 0; }

/* Note a value and how far off its prediction was; return that. */
static inline int64_t note(Linear *l, size at, int64_t value, int64_t prediction)
{
    int64_t error = in_sixteenths(wrapped_difference(value, prediction), l->coarse);
    int64_t far = error < 0 ? -error : error;
    l->values[at] = value;
    l->errors[at] = far < MOST_ACTIVITY ? far : MOST_ACTIVITY;
    return error;
}

static inline int64_t mean_of(const Linear *l, size at, int64_t prediction)
{
    int64_t away = wrapped_difference(wrapped_difference(prediction, anchor_of(l, at)), (l->coarse - l->step) / 2);
    return in_sixteenths(away, l->coarse);
}

/* Two logistic distributions for each bin. */
typedef struct {
    const int32_t *weights, *scales; /* (2, 96) */
    const int32_t *sigmoid;
    const int64_t *slopes;
    int64_t window;
} Shapes;

#define SHAPES_FORMAT "y*y*y*y*L"
#define SHAPES_BUFFERS 4

static int is_shapes(Shapes *s, Py_buffer *b, long long window)
{
    *s = (Shapes){b[0].buf, b[1].buf, b[2].buf, b[3].buf, window};
    if (b[0].len != 2 * N_BINS * 4 || b[1].len != b[0].len || b[2].len != N_SIGMOID * 4 || b[3].len != N_SCALES * 8 ||
        window < 2 || window > MOST_WINDOW)
        return 0;
    for (size at = 0; at < 2 * N_BINS; at++)
        if (s->scales[at] < 0 || s->scales[at] >= N_SCALES)
            return 0;
    return 1;
}

/* means: room for the two equal ones */
static inline Mixture shape_of(const Shapes *s, int bin, int64_t mean, int64_t *means)
{
    means[0] = means[N_BINS] = mean;
    return (Mixture){s->weights + bin, s->scales + bin, means, N_BINS, 2, ((mean + 8) >> 4) - s->window / 2,
                     s->window, s->sigmoid, s->slopes};
}

/* linear_look(anchors, pattern_of, patterns, deltas, weights, values, errors, (step, coarse, lowest, highest, has_code),
   off, bins): of records that are known, how far off each prediction is, in sixteenths of a coarse step, and its bin */
PyObject *linear_look(PyObject *module, PyObject *args)
{
    Py_buffer b[LINEAR_BUFFERS + 2];
    long long settings[4];
    int has_code;
    Linear l;
    (void)module;
    if (!PyArg_ParseTuple(args, LINEAR_FORMAT "w*w*", &b[0], &b[1], &b[2], &b[3], &b[4], &b[5], &b[6], &settings[0],
                          &settings[1], &settings[2], &settings[3], &has_code, &b[7], &b[8]))
        return NULL;
    int right = is_linear(&l, b, settings, has_code) && b[7].len == b[5].len && b[8].len * 8 == b[5].len;
    if (right) {
        int64_t *off = b[7].buf;
        uint8_t *bins = b[8].buf;
        Py_BEGIN_ALLOW_THREADS
        for (size position = 0; position < l.n_values; position++) {
            Pattern p = pattern_at(&l, position);
            for (size first = 0; first < l.n; first += BLOCK) {
                Block block = block_at(&l, position, first);
                predict_block(&l, &p, &block);
                memcpy(bins + block.at, block.bins, block.count);
                for (size i = 0; i < block.count; i++)
                    off[block.at + i] = note(&l, block.at + i, l.values[block.at + i], block.predictions[i]);
            }
        }
        Py_END_ALLOW_THREADS
    }
    release(b, LINEAR_BUFFERS + 2);
    if (!right) {
        PyErr_SetString(PyExc_ValueError, "linear_look: sizes that do not fit together");
        return NULL;
    }
    Py_RETURN_NONE;
}

/* linear_place(…, weights, scales, sigmoid, slopes, window, steps, starts, frequencies, escaped): of coarse steps */
PyObject *linear_place(PyObject *module, PyObject *args)
{
    Py_buffer b[LINEAR_BUFFERS + SHAPES_BUFFERS + 4], *shapes = b + LINEAR_BUFFERS, *more = shapes + SHAPES_BUFFERS;
    long long settings[4], window;
    int has_code;
    Linear l;
    Shapes s;
    (void)module;
    if (!PyArg_ParseTuple(args, LINEAR_FORMAT SHAPES_FORMAT "y*w*w*w*", &b[0], &b[1], &b[2], &b[3], &b[4], &b[5],
                          &b[6], &settings[0], &settings[1], &settings[2], &settings[3], &has_code, &shapes[0],
                          &shapes[1], &shapes[2], &shapes[3], &window, &more[0], &more[1], &more[2], &more[3]))
        return NULL;
    int right = is_linear(&l, b, settings, has_code) && is_shapes(&s, shapes, window) && more[0].len == b[5].len &&
                more[1].len * 4 == b[5].len && more[2].len == more[1].len && more[3].len * 8 == b[5].len;
    if (right) {
        const int64_t *steps = more[0].buf;
        uint16_t *starts = more[1].buf, *frequencies = more[2].buf;
        uint8_t *escaped = more[3].buf;
        int64_t means[N_BINS + 1];
        Py_BEGIN_ALLOW_THREADS
        for (size position = 0; position < l.n_values; position++) {
            Pattern p = pattern_at(&l, position);
            for (size first = 0; first < l.n; first += BLOCK) {
                Block block = block_at(&l, position, first);
                predict_block(&l, &p, &block);
                for (size i = 0; i < block.count; i++) {
                    size at = block.at + i;
                    Mixture m = shape_of(&s, block.bins[i], mean_of(&l, at, block.predictions[i]), means);
                    uint64_t far = (uint64_t)steps[at] - (uint64_t)m.low;
                    int64_t j = far >= (uint64_t)(window - 1) ? window - 1 : (int64_t)far;
                    escaped[at] = j == window - 1;
                    mixture_place(&m, j, starts + at, frequencies + at);
                    note(&l, at, l.values[at], block.predictions[i]);
                }
            }
        }
        Py_END_ALLOW_THREADS
    }
    release(b, LINEAR_BUFFERS + SHAPES_BUFFERS + 4);
    if (!right) {
        PyErr_SetString(PyExc_ValueError, "linear_place: sizes or scales that cannot be");
        return NULL;
    }
    Py_RETURN_NONE;
}

/* linear_pop(…, weights, scales, sigmoid, slopes, window, states, words, n_read, escapes, low, raw_bits)
   -> numbers of words and escapes read, -1 if too few: the values, of which low bits may be given */
PyObject *linear_pop(PyObject *module, PyObject *args)
{
    Py_buffer b[LINEAR_BUFFERS + SHAPES_BUFFERS + 4], *shapes = b + LINEAR_BUFFERS, *more = shapes + SHAPES_BUFFERS;
    long long settings[4], window;
    int has_code, raw_bits;
    size read;
    Linear l;
    Shapes s;
    (void)module;
    if (!PyArg_ParseTuple(args, LINEAR_FORMAT SHAPES_FORMAT "w*y*ny*y*i", &b[0], &b[1], &b[2], &b[3], &b[4], &b[5],
                          &b[6], &settings[0], &settings[1], &settings[2], &settings[3], &has_code, &shapes[0],
                          &shapes[1], &shapes[2], &shapes[3], &window, &more[0], &more[1], &read, &more[2], &more[3],
                          &raw_bits))
        return NULL;
    Message message = {more[0].buf, more[1].buf, more[0].len / 8, more[1].len / 2, read};
    size n_escapes = more[2].len / 8, taken = 0;
    int right = is_linear(&l, b, settings, has_code) && is_shapes(&s, shapes, window) && message.n_lanes >= 1 &&
                read >= 0 && raw_bits >= 0 && raw_bits < 63 && more[3].len == (raw_bits ? b[5].len : 0);
    if (right) {
        const int64_t *escapes = more[2].buf, *low = more[3].buf;
        int64_t means[N_BINS + 1];
        Py_BEGIN_ALLOW_THREADS
        for (size position = 0; position < l.n_values; position++) {
            Pattern p = pattern_at(&l, position);
            for (size first = 0, lane = 0; first < l.n; first += BLOCK) {
                Block block = block_at(&l, position, first);
                predict_block(&l, &p, &block);
                for (size i = 0; i < block.count; i++) {
                    size at = block.at + i;
                    Mixture m = shape_of(&s, block.bins[i], mean_of(&l, at, block.predictions[i]), means);
                    int64_t j = mixture_pop(&m, &message, lane), q = m.low + j;
                    if (message.read < 0)
                        goto done;
                    if (j == window - 1) {
                        if (taken == n_escapes) {
                            taken = -1;
                            goto done;
                        }
                        q = escapes[taken++];
                    }
                    if (raw_bits)
                        q = (int64_t)((uint64_t)q << raw_bits) | low[at];
                    int64_t value = wrapped_sum(anchor_of(&l, at), wrapped_product(l.step, q));
                    note(&l, at, clip(value, l.lowest, l.highest), block.predictions[i]);
                    lane = lane + 1 == message.n_lanes ? 0 : lane + 1;
                }
            }
        }
    done:;
        Py_END_ALLOW_THREADS
    }
    release(b, LINEAR_BUFFERS + SHAPES_BUFFERS + 4);
    if (!right) {
        PyErr_SetString(PyExc_ValueError, "linear_pop: sizes or scales that cannot be");
        return NULL;
    }
    return Py_BuildValue("nn", message.read, taken);
}

/* ---------------------------------------------------------------------------------------------- causal networks */

#define TILE 8  /* records that are worked on together */
#define LANES 16 /* outputs that are */
#define N_EXP 512

/* sums[r][o] = biases[o] + Σ_k x[r][k] w[k][o] of a tile of records; n_out is a multiple of LANES. Weights of two inputs
   lie side by side, [pair][output][2], for instructions that multiply and add pairs of 16-bit numbers. No sum needs more
   than 32 bits: whoever calls has proved it. */
typedef void Layer(const int16_t *x, size n_pairs, const int16_t *w, const int32_t *biases, size n_out, int32_t *sums);

static void layer(const int16_t *x, size n_pairs, const int16_t *w, const int32_t *biases, size n_out, int32_t *sums)
{
    for (size r = 0; r < TILE; r++, x += 2 * n_pairs, sums += n_out) {
        for (size o = 0; o < n_out; o++)
            sums[o] = biases[o];
        for (size pair = 0; pair < n_pairs; pair++) {
            const int16_t *row = w + 2 * pair * n_out;
            int32_t first = x[2 * pair], second = x[2 * pair + 1];
            for (size o = 0; o < n_out; o++)
                sums[o] += first * row[2 * o] + second * row[2 * o + 1];
        }
    }
}

#ifdef HAS_X86
__attribute__((target("avx2"))) static void layer_avx2(const int16_t *x, size n_pairs, const int16_t *w,
                                                       const int32_t *biases, size n_out, int32_t *sums)
{
    for (size o = 0; o < n_out; o += 8) {
        __m256i sum[TILE];
        for (int r = 0; r < TILE; r++)
            sum[r] = _mm256_loadu_si256((const __m256i *)(biases + o));
        for (size pair = 0; pair < n_pairs; pair++) {
            __m256i row = _mm256_loadu_si256((const __m256i *)(w + 2 * (pair * n_out + o)));
            for (int r = 0; r < TILE; r++) {
                int32_t both;
                memcpy(&both, x + 2 * (r * n_pairs + pair), 4);
                sum[r] = _mm256_add_epi32(sum[r], _mm256_madd_epi16(row, _mm256_set1_epi32(both)));
            }
        }
        for (int r = 0; r < TILE; r++)
            _mm256_storeu_si256((__m256i *)(sums + r * n_out + o), sum[r]);
    }
}

__attribute__((target("avx512f,avx512bw,avx512vnni"))) static void
layer_avx512(const int16_t *x, size n_pairs, const int16_t *w, const int32_t *biases, size n_out, int32_t *sums)
{
    for (size o = 0; o < n_out; o += LANES) {
        __m512i sum[TILE];
        for (int r = 0; r < TILE; r++)
            sum[r] = _mm512_loadu_si512(biases + o);
        for (size pair = 0; pair < n_pairs; pair++) {
            __m512i row = _mm512_loadu_si512(w + 2 * (pair * n_out + o));
            for (int r = 0; r < TILE; r++) {
                int32_t both;
                memcpy(&both, x + 2 * (r * n_pairs + pair), 4);
                sum[r] = _mm512_dpwssd_epi32(sum[r], row, _mm512_set1_epi32(both));
            }
        }
        for (int r = 0; r < TILE; r++)
            _mm512_storeu_si512(sums + r * n_out + o, sum[r]);
    }
}
#endif

static Layer *fastest_layer(void)
{
#ifdef HAS_X86
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vnni"))
        return layer_avx512;
    if (__builtin_cpu_supports("avx2"))
        return layer_avx2;
#endif
    return layer;
}

/* What sums become for the next layer: shifted, within 0 … 32767. */
FOR_EVERY_CPU
static void activate(const int32_t *sums, size n, int shift, int16_t *x)
{
    for (size i = 0; i < n; i++) {
        int32_t value = sums[i] >> shift;
        x[i] = (int16_t)(value < 0 ? 0 : value > 32767 ? 32767 : value);
    }
}

/* Turn logits into weights that sum to 2^15; what is missing goes to the first largest. */
static void to_weights(const int32_t *sums, int shift, const int64_t *exp, size n_components, int32_t *weights, size stride)
{
    size largest = 0;
    int64_t total = 0, given = 0, parts[LANES];
    for (size k = 1; k < n_components; k++)
        if (sums[k] >> shift > sums[largest] >> shift)
            largest = k;
    for (size k = 0; k < n_components; k++) {
        int64_t away = (int64_t)(sums[largest] >> shift) - (sums[k] >> shift);
        total += parts[k] = exp[away < N_EXP ? away : N_EXP - 1];
    }
    for (size k = 0; k < n_components; k++)
        given += weights[k * stride] = (int32_t)((parts[k] << 15) / total);
    weights[largest * stride] += (int32_t)(32768 - given);
}

/* causal(values, seen, weights_1, biases_1, weights_2, biases_2, weights_3, biases_3, shifts, exp, middles, coarse,
          wider, weights, means, scales)
   values: (V, n) int16; seen: (inputs,) int32, an even number; biases int32, in multiples of LANES, as many as outputs */
PyObject *causal(PyObject *module, PyObject *args)
{
    enum { VALUES, SEEN, W1, B1, W2, B2, W3, B3, EXP, MIDDLES, WEIGHTS, MEANS, SCALES, N_BUFFERS };
    Py_buffer b[N_BUFFERS];
    int shifts[5];
    long long coarse, wider;
    (void)module;
    if (!PyArg_ParseTuple(args, "y*y*y*y*y*y*y*y*(iiiii)y*y*LLw*w*w*", &b[VALUES], &b[SEEN], &b[W1], &b[B1], &b[W2],
                          &b[B2], &b[W3], &b[B3], &shifts[0], &shifts[1], &shifts[2], &shifts[3], &shifts[4], &b[EXP],
                          &b[MIDDLES], &coarse, &wider, &b[WEIGHTS], &b[MEANS], &b[SCALES]))
        return NULL;
    size n = b[MIDDLES].len / 8, n_seen = b[SEEN].len / 4, n_1 = b[B1].len / 4, n_2 = b[B2].len / 4, n_3 = b[B3].len / 4;
    size n_components = n ? b[WEIGHTS].len / (4 * n) : 0, n_values = n ? b[VALUES].len / (2 * n) : 0;
    size n_room = n_seen + n_1 + n_2, n_sums = n_1 > n_2 ? n_1 : n_2;
    n_sums = n_3 > n_sums ? n_3 : n_sums;
    int right = n >= 1 && n_seen % 2 == 0 && n_1 % LANES == 0 && n_2 % LANES == 0 && n_3 % LANES == 0 &&
                b[W1].len == n_seen * n_1 * 2 && b[W2].len == n_1 * n_2 * 2 && b[W3].len == n_2 * n_3 * 2 &&
                n_components >= 1 && n_components <= LANES && 3 * n_components <= n_3 && b[EXP].len == N_EXP * 8 &&
                b[WEIGHTS].len == n_components * n * 4 && b[SCALES].len == b[WEIGHTS].len &&
                b[MEANS].len == 2 * b[WEIGHTS].len && coarse >= 1;
    const int32_t *seen = b[SEEN].buf;
    for (size k = 0; k < n_seen && right; k++)
        right = seen[k] >= 0 && seen[k] < n_values;
    for (int k = 0; k < 5; k++)
        right = right && shifts[k] >= 0 && shifts[k] < 32;
    int16_t *x = right ? malloc((size_t)(TILE * n_room * 2)) : NULL;
    int32_t *sums = x ? malloc((size_t)(TILE * n_sums * 4)) : NULL;
    if (sums) {
        Layer *multiply = fastest_layer();
        int16_t *a = x + TILE * n_seen, *c = a + TILE * n_1;
        const int16_t *values = b[VALUES].buf;
        const int64_t *middles = b[MIDDLES].buf;
        int32_t *weights = b[WEIGHTS].buf, *scales = b[SCALES].buf;
        int64_t *means = b[MEANS].buf;
        Py_BEGIN_ALLOW_THREADS
        for (size first = 0; first < n; first += TILE) {
            for (size r = 0; r < TILE; r++) {
                size record = first + r < n ? first + r : n - 1; /* the last tile is filled up */
                for (size k = 0; k < n_seen; k++)
                    x[r * n_seen + k] = values[seen[k] * n + record];
            }
            multiply(x, n_seen / 2, b[W1].buf, b[B1].buf, n_1, sums);
            activate(sums, TILE * n_1, shifts[0], a);
            multiply(a, n_1 / 2, b[W2].buf, b[B2].buf, n_2, sums);
            activate(sums, TILE * n_2, shifts[1], c);
            multiply(c, n_2 / 2, b[W3].buf, b[B3].buf, n_3, sums);
            for (size r = 0; r < TILE && first + r < n; r++) {
                const int32_t *said = sums + r * n_3;
                size i = first + r;
                to_weights(said, shifts[2], b[EXP].buf, n_components, weights + i, n);
                for (size k = 0; k < n_components; k++) {
                    int64_t mean = said[n_components + k] >> shifts[3], scale = said[2 * n_components + k] >> shifts[4];
                    means[k * n + i] = floor_divided(mean - middles[i], coarse);
                    scales[k * n + i] = (int32_t)clip(scale - wider, 0, N_SCALES - 1);
                }
            }
        }
        Py_END_ALLOW_THREADS
    }
    free(sums);
    free(x);
    release(b, N_BUFFERS);
    if (!right) {
        PyErr_SetString(PyExc_ValueError, "causal: sizes that do not fit together");
        return NULL;
    }
    if (!sums)
        return PyErr_NoMemory();
    Py_RETURN_NONE;
}
