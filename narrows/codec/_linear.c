/* The inner loops of linear prediction; residual/linear.py has the formulas, and what to call these with. */

#include "_mixture.h"

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
    int64_t whole = floor_divided(distance, step); /* whole · step can be below all numbers: then both wrap */
    int64_t part = wrapped_difference(distance, wrapped_product(whole, step)) * 16 / step;
    return clip(clip(whole, -FURTHEST / 8, FURTHEST / 8) * 16 + part, -FURTHEST, FURTHEST);
}

/* What a run is told of a pattern. */
enum { FIRST_DELTA, N_BEFORE, N_AFTER, FIRST_WEIGHT, N_TOLD };

/* Return whether the deltas and weights of a pattern are there. */
static int is_pattern(const int64_t *told, size n_deltas, size n_weights, int has_code)
{
    for (int k = 0; k < N_TOLD; k++) /* each alone first, so that no sum wraps */
        if (told[k] < 0 || told[k] > (k == FIRST_WEIGHT ? n_weights : n_deltas))
            return 0;
    int64_t n_around = told[N_BEFORE] + told[N_AFTER], n_inputs = told[N_BEFORE] + (has_code ? 1 + n_around : 0);
    return told[FIRST_DELTA] + n_around <= n_deltas && told[FIRST_WEIGHT] + n_inputs + 1 <= n_weights;
}

/* Return whether the numbers of a run fit together, so that no position looks outside. */
static int is_linear(Linear *l, Py_buffer *b, const long long *settings, int has_code)
{
    *l = (Linear){b[0].buf, b[1].buf, b[2].buf, b[3].buf, b[4].buf, b[5].buf, b[6].buf, 0, b[1].len / 8,
                  settings[0], settings[1], settings[2], settings[3], has_code};
    size n_patterns = b[2].len / (N_TOLD * 8), n_deltas = b[3].len / 8, n_weights = b[4].len / 8;
    if (l->n_values < 1 || b[5].len % (l->n_values * 8) || l->step < 1 || l->coarse < l->step ||
        l->lowest > l->highest || b[6].len != b[5].len || (has_code && b[0].len != b[5].len) || (!has_code && b[0].len))
        return 0;
    l->n = b[5].len / (l->n_values * 8);
    for (size p = 0; p < n_patterns; p++)
        if (!is_pattern(l->patterns + N_TOLD * p, n_deltas, n_weights, has_code))
            return 0;
    for (size position = 0; position < l->n_values; position++) {
        int64_t p = l->pattern_of[position];
        if (p < 0 || p >= n_patterns)
            return 0;
        const int64_t *told = l->patterns + N_TOLD * p, *deltas = l->deltas + told[FIRST_DELTA];
        for (int64_t j = 0; j < told[N_BEFORE] + told[N_AFTER]; j++)
            if (deltas[j] < -position || deltas[j] >= (j < told[N_BEFORE] ? 0 : l->n_values - position))
                return 0;
    }
    return 1;
}

static inline Pattern pattern_at(const Linear *l, size position)
{
    const int64_t *told = l->patterns + N_TOLD * l->pattern_of[position], *deltas = l->deltas + told[FIRST_DELTA];
    return (Pattern){deltas, deltas + told[N_BEFORE], l->weights + told[FIRST_WEIGHT], told[N_BEFORE], told[N_AFTER]};
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

/* linear_look(anchors, pattern_of, patterns, deltas, weights, values, errors,
               (step, coarse, lowest, highest, has_code), off, bins): of records that are known, how far off each
   prediction is, in sixteenths of a coarse step, and its bin */
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
