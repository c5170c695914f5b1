/* The kernels of linear prediction; residual/linear.py has the formulas and the arguments. */

#include "_mixture.h"

#define N_BINS 96
#define N_NEAREST 6
#define FURTHEST ((int64_t)1 << 60)
#define MOST_ACTIVITY ((int64_t)1 << 46)

/* Positions with the same neighbours. */
typedef struct {
    const int64_t *before, *after, *weights; /* offsets of the neighbours; weights of the inputs and the constant */
    size n_before, n_after;
} Pattern;

/* The records, (V, n), as far as they are known, and their predictor. */
typedef struct {
    const int64_t *anchors, *pattern_of, *patterns, *deltas, *weights;
    int64_t *values, *errors;
    size n, n_values;
    int64_t step, coarse, lowest, highest, has_code;
} Linear;

/* The lengths of the arrays. */
typedef struct {
    size anchors, pattern_of, patterns, deltas, weights, values, errors;
} Counts;

static inline int64_t wrapped_sum(int64_t a, int64_t b) { return (int64_t)((uint64_t)a + (uint64_t)b); }
static inline int64_t wrapped_difference(int64_t a, int64_t b) { return (int64_t)((uint64_t)a - (uint64_t)b); }
static inline int64_t wrapped_product(int64_t a, int64_t b) { return (int64_t)((uint64_t)a * (uint64_t)b); }

/* floor(16 distance / step), within 2^60 */
static inline int64_t in_sixteenths(int64_t distance, int64_t step)
{
    if (step % 16 == 0 && (step & (step - 1)) == 0) {
        int shift = 0; /* a power of two, as for all floats: a shift is faster than a division */
        while (step >> shift > 16)
            shift++;
        return clip(distance >> shift, -FURTHEST, FURTHEST);
    }
    if (step % 16 == 0)
        return clip(floor_divided(distance, step / 16), -FURTHEST, FURTHEST);
    int64_t whole = floor_divided(distance, step); /* whole · step can overflow: then the difference wraps back */
    int64_t part = wrapped_difference(distance, wrapped_product(whole, step)) * 16 / step;
    return clip(clip(whole, -FURTHEST / 8, FURTHEST / 8) * 16 + part, -FURTHEST, FURTHEST);
}

/* The columns of `patterns`, which has a row for each pattern. */
enum { FIRST_DELTA, N_BEFORE, N_AFTER, FIRST_WEIGHT, N_FIELDS };

/* Return whether the deltas and weights of a pattern are within their arrays. */
static int is_pattern(const int64_t *row, size n_deltas, size n_weights, int64_t has_code)
{
    for (int k = 0; k < N_FIELDS; k++) /* each alone first, so that no sum overflows */
        if (row[k] < 0 || row[k] > (k == FIRST_WEIGHT ? n_weights : n_deltas))
            return 0;
    int64_t n_around = row[N_BEFORE] + row[N_AFTER], n_inputs = row[N_BEFORE] + (has_code ? 1 + n_around : 0);
    return row[FIRST_DELTA] + n_around <= n_deltas && row[FIRST_WEIGHT] + n_inputs + 1 <= n_weights;
}

/* Parse anchors, pattern_of, patterns, deltas, weights, values, errors and (step, coarse, lowest, highest, has_code). */
static Linear take_linear(Arguments *a, Counts *n)
{
    Linear l = {0};
    int64_t settings[5];
    l.anchors = array(a, "anchors", INT64S, READ, &n->anchors);
    l.pattern_of = array(a, "pattern_of", INT64S, READ, &n->pattern_of);
    l.patterns = array(a, "patterns", INT64S, READ, &n->patterns);
    l.deltas = array(a, "deltas", INT64S, READ, &n->deltas);
    l.weights = array(a, "weights", INT64S, READ, &n->weights);
    l.values = array(a, "values", INT64S, WRITTEN, &n->values);
    l.errors = array(a, "errors", INT64S, WRITTEN, &n->errors);
    integers(a, "settings", settings, 5);
    l.step = settings[0], l.coarse = settings[1], l.lowest = settings[2], l.highest = settings[3];
    l.has_code = settings[4];
    return l;
}

/* Set the numbers of values and records; return whether the arrays of a run fit together, so that no neighbour is outside
   a record. */
static int is_linear(Linear *l, const Counts *n)
{
    size n_patterns = n->patterns / N_FIELDS;
    if (n->pattern_of < 1 || n->values % n->pattern_of || l->step < 1 || l->coarse < l->step ||
        l->lowest > l->highest || n->errors != n->values || n->anchors != (l->has_code ? n->values : 0))
        return 0;
    l->n_values = n->pattern_of, l->n = n->values / n->pattern_of;
    for (size p = 0; p < n_patterns; p++)
        if (!is_pattern(l->patterns + N_FIELDS * p, n->deltas, n->weights, l->has_code))
            return 0;
    for (size position = 0; position < l->n_values; position++) {
        int64_t p = l->pattern_of[position];
        if (p < 0 || p >= n_patterns)
            return 0;
        const int64_t *row = l->patterns + N_FIELDS * p, *deltas = l->deltas + row[FIRST_DELTA];
        for (int64_t j = 0; j < row[N_BEFORE] + row[N_AFTER]; j++)
            if (deltas[j] < -position || deltas[j] >= (j < row[N_BEFORE] ? 0 : l->n_values - position))
                return 0;
    }
    return 1;
}

static inline Pattern pattern_at(const Linear *l, size position)
{
    const int64_t *row = l->patterns + N_FIELDS * l->pattern_of[position], *deltas = l->deltas + row[FIRST_DELTA];
    return (Pattern){deltas, deltas + row[N_BEFORE], l->weights + row[FIRST_WEIGHT], row[N_BEFORE], row[N_AFTER]};
}

/* total += weight · (x - x0), for count records */
static inline void add_weighted(int64_t *total, int64_t weight, const int64_t *x, const int64_t *x0, size count)
{
    for (size i = 0; i < count; i++)
        total[i] = wrapped_sum(total[i], wrapped_product(weight, wrapped_difference(x[i], x0[i])));
}

/* A block of records that are processed together, and the predictions of their values at a position. */
#define BLOCK 256
typedef struct {
    size at, count; /* index of the first record's value; number of records */
    int64_t predictions[BLOCK], activity[BLOCK];
    uint8_t bins[BLOCK]; /* of the activity */
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
        w++; /* the weight of x0 is not used */
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

/* Record a value and the error of its prediction; return the error. */
static inline int64_t record(Linear *l, size at, int64_t value, int64_t prediction)
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

/* Parse weights, scales, sigmoid, slopes and window. */
static Shapes take_shapes(Arguments *a, size counts[4])
{
    Shapes s;
    s.weights = array(a, "shape_weights", INT32S, READ, &counts[0]);
    s.scales = array(a, "shape_scales", INT32S, READ, &counts[1]);
    s.sigmoid = array(a, "sigmoid", INT32S, READ, &counts[2]);
    s.slopes = array(a, "slopes", INT64S, READ, &counts[3]);
    s.window = integer(a, "window");
    return s;
}

static int is_shapes(const Shapes *s, const size counts[4])
{
    if (counts[0] != 2 * N_BINS || counts[1] != 2 * N_BINS || counts[2] != N_SIGMOID || counts[3] != N_SCALES ||
        s->window < 2 || s->window > MOST_WINDOW)
        return 0;
    for (size at = 0; at < 2 * N_BINS; at++)
        if (s->scales[at] < 0 || s->scales[at] >= N_SCALES)
            return 0;
    return 1;
}

static inline Mixture shape_of(const Shapes *s, int bin, int64_t mean)
{
    Mixture m;
    mixture_start(&m, ((mean + 8) >> 4) - s->window / 2, s->window, s->sigmoid);
    for (int at = bin; at < 2 * N_BINS; at += N_BINS)
        mixture_add(&m, s->weights[at], mean, s->slopes[s->scales[at]]);
    return m;
}

/* linear_errors(anchors, pattern_of, patterns, deltas, weights, values, errors,
               (step, coarse, lowest, highest, has_code), off, bins): for known records, the error of each prediction,
   in sixteenths of a coarse step, and its bin */
PyObject *linear_errors(PyObject *module, PyObject *args)
{
    Arguments a = {.function = "linear_errors", .args = args};
    Counts counts;
    size n_off, n_bins;
    Linear l = take_linear(&a, &counts);
    int64_t *off = array(&a, "off", INT64S, WRITTEN, &n_off);
    uint8_t *bins = array(&a, "bins", UINT8S, WRITTEN, &n_bins);
    (void)module;
    if (!is_complete(&a))
        return NULL;
    if (!is_linear(&l, &counts) || n_off != counts.values || n_bins != counts.values)
        return refuse(&a, "inconsistent sizes");
    Py_BEGIN_ALLOW_THREADS
    for (size position = 0; position < l.n_values; position++) {
        Pattern p = pattern_at(&l, position);
        for (size first = 0; first < l.n; first += BLOCK) {
            Block block = block_at(&l, position, first);
            predict_block(&l, &p, &block);
            memcpy(bins + block.at, block.bins, block.count);
            for (size i = 0; i < block.count; i++)
                off[block.at + i] = record(&l, block.at + i, l.values[block.at + i], block.predictions[i]);
        }
    }
    Py_END_ALLOW_THREADS
    release(&a);
    Py_RETURN_NONE;
}

/* linear_intervals(…, weights, scales, sigmoid, slopes, window, steps, starts, frequencies, escaped): the intervals of
   coarse steps */
PyObject *linear_intervals(PyObject *module, PyObject *args)
{
    Arguments a = {.function = "linear_intervals", .args = args};
    Counts counts;
    size of_shapes[4], n_steps, n_starts, n_frequencies, n_escaped;
    Linear l = take_linear(&a, &counts);
    Shapes s = take_shapes(&a, of_shapes);
    const int64_t *steps = array(&a, "steps", INT64S, READ, &n_steps);
    uint16_t *starts = array(&a, "starts", UINT16S, WRITTEN, &n_starts);
    uint16_t *frequencies = array(&a, "frequencies", UINT16S, WRITTEN, &n_frequencies);
    uint8_t *escaped = array(&a, "escaped", BOOLS, WRITTEN, &n_escaped);
    (void)module;
    if (!is_complete(&a))
        return NULL;
    if (!is_linear(&l, &counts) || !is_shapes(&s, of_shapes) || n_steps != counts.values ||
        n_starts != counts.values || n_frequencies != counts.values || n_escaped != counts.values)
        return refuse(&a, "invalid sizes or scales");
    Py_BEGIN_ALLOW_THREADS
    for (size position = 0; position < l.n_values; position++) {
        Pattern p = pattern_at(&l, position);
        for (size first = 0; first < l.n; first += BLOCK) {
            Block block = block_at(&l, position, first);
            predict_block(&l, &p, &block);
            for (size i = 0; i < block.count; i++) {
                size at = block.at + i;
                Mixture m = shape_of(&s, block.bins[i], mean_of(&l, at, block.predictions[i]));
                uint64_t far = (uint64_t)steps[at] - (uint64_t)m.low;
                int64_t j = far >= (uint64_t)(s.window - 1) ? s.window - 1 : (int64_t)far;
                escaped[at] = j == s.window - 1;
                mixture_place(&m, j, starts + at, frequencies + at);
                record(&l, at, l.values[at], block.predictions[i]);
            }
        }
    }
    Py_END_ALLOW_THREADS
    release(&a);
    Py_RETURN_NONE;
}

/* linear_pop(…, weights, scales, sigmoid, slopes, window, states, words, n_read, escapes, low, raw_bits)
   -> numbers of words and escapes read, -1 if too few; decodes the values. low has the raw bits, if there are any. */
PyObject *linear_pop(PyObject *module, PyObject *args)
{
    Arguments a = {.function = "linear_pop", .args = args};
    Counts counts;
    size of_shapes[4], n_escapes, n_low, taken = 0;
    Linear l = take_linear(&a, &counts);
    Shapes s = take_shapes(&a, of_shapes);
    Message message = take_message(&a);
    const int64_t *escapes = array(&a, "escapes", INT64S, READ, &n_escapes);
    const int64_t *low = array(&a, "low", INT64S, READ, &n_low);
    int64_t raw_bits = integer(&a, "raw_bits");
    (void)module;
    if (!is_complete(&a))
        return NULL;
    if (!is_linear(&l, &counts) || !is_shapes(&s, of_shapes) || message.n_lanes < 1 || message.read < 0 ||
        raw_bits < 0 || raw_bits >= 63 || n_low != (raw_bits ? counts.values : 0))
        return refuse(&a, "invalid sizes or scales");
    Py_BEGIN_ALLOW_THREADS
    for (size position = 0; position < l.n_values; position++) {
        Pattern p = pattern_at(&l, position);
        for (size first = 0, lane = 0; first < l.n; first += BLOCK) {
            Block block = block_at(&l, position, first);
            predict_block(&l, &p, &block);
            for (size i = 0; i < block.count; i++) {
                size at = block.at + i;
                Mixture m = shape_of(&s, block.bins[i], mean_of(&l, at, block.predictions[i]));
                int64_t j = mixture_pop(&m, &message, lane), q = m.low + j;
                if (message.read < 0)
                    goto done;
                if (j == s.window - 1) {
                    if (taken == n_escapes) {
                        taken = -1;
                        goto done;
                    }
                    q = escapes[taken++];
                }
                if (raw_bits)
                    q = (int64_t)((uint64_t)q << raw_bits) | low[at];
                int64_t value = wrapped_sum(anchor_of(&l, at), wrapped_product(l.step, q));
                record(&l, at, clip(value, l.lowest, l.highest), block.predictions[i]);
                lane = lane + 1 == message.n_lanes ? 0 : lane + 1;
            }
        }
    }
done:;
    Py_END_ALLOW_THREADS
    release(&a);
    return Py_BuildValue("nn", message.read, taken);
}
