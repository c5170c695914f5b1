/* The kernels of runs of a causal network over all positions; residual/causal_run.py has the formulas and arguments. */

#include "_causal.h"
#include "_lines.h"

#include <stdlib.h>

/* The networks of all channels, and the values of n records in coding order, as far as they are known. */
typedef struct {
    int16_t *values;       /* (V + 1, n), relative to the lowest value; the last row is 0 */
    const int32_t *window; /* down, right and channel of each input, relative to the predicted pixel */
    const int16_t *weights[3];
    const int32_t *rows, *columns, *biases[2];
    const int64_t *exp, *anchors; /* (V, n), or NULL without a code */
    int64_t height, width, channels, n_components;
    int64_t origin, step, raw_bits, coarse, lowest, highest; /* origin: the lowest value of the network */
    int64_t wider, n_places, is_whole;                       /* of the mixtures; n_places: the length of a window */
    int64_t first, stop;                                     /* positions to process */
    const int32_t *sigmoid;
    const int64_t *slopes;
    size n, n_values, sizes[4];
    int64_t shifts[5];
} Run;

/* The lengths of the arrays. */
typedef struct {
    size values, window, weights[3], rows, columns, biases[2], exp, anchors, sigmoid, slopes;
} Counts;

/* Parse values, window, weights_1, rows, columns, weights_2, biases_2, weights_3, biases_3, shifts, exp, anchors,
   (height, width, channels, components), (origin, step, raw_bits, lowest, highest), (wider, n_places, is_whole),
   (first, stop), sigmoid and slopes. values is written by the decoder only. */
static Run take_run(Arguments *a, Access access, Counts *n)
{
    Run run = {0};
    int64_t grid[4], lattice[5], mixture[3], positions[2];
    run.values = array(a, "values", INT16S, access, &n->values);
    run.window = array(a, "window", INT32S, READ, &n->window);
    run.weights[0] = array(a, "weights_1", INT16S, READ, &n->weights[0]);
    run.rows = array(a, "rows", INT32S, READ, &n->rows);
    run.columns = array(a, "columns", INT32S, READ, &n->columns);
    run.weights[1] = array(a, "weights_2", INT16S, READ, &n->weights[1]);
    run.biases[0] = array(a, "biases_2", INT32S, READ, &n->biases[0]);
    run.weights[2] = array(a, "weights_3", INT16S, READ, &n->weights[2]);
    run.biases[1] = array(a, "biases_3", INT32S, READ, &n->biases[1]);
    integers(a, "shifts", run.shifts, 5);
    run.exp = array(a, "exp", INT64S, READ, &n->exp);
    run.anchors = array(a, "anchors", INT64S, READ, &n->anchors);
    integers(a, "grid", grid, 4);
    integers(a, "lattice", lattice, 5);
    integers(a, "mixture", mixture, 3);
    integers(a, "positions", positions, 2);
    run.sigmoid = array(a, "sigmoid", INT32S, READ, &n->sigmoid);
    run.slopes = array(a, "slopes", INT64S, READ, &n->slopes);
    run.height = grid[0], run.width = grid[1], run.channels = grid[2], run.n_components = grid[3];
    run.origin = lattice[0], run.step = lattice[1], run.raw_bits = lattice[2];
    run.lowest = lattice[3], run.highest = lattice[4];
    run.wider = mixture[0], run.n_places = mixture[1], run.is_whole = mixture[2];
    run.first = positions[0], run.stop = positions[1];
    return run;
}

static int is_length(int64_t value) { return value >= 1 && value < (int64_t)1 << 31; }

/* Return the network of a channel without the first bias. */
static Network network_of(const Run *run, int64_t channel)
{
    Network net = {.exp = run->exp, .n_components = run->n_components};
    memcpy(net.sizes, run->sizes, sizeof net.sizes);
    memcpy(net.shifts, run->shifts, sizeof net.shifts);
    for (int k = 0; k < 3; k++)
        net.weights[k] = run->weights[k] + channel * run->sizes[k] * run->sizes[k + 1];
    for (int k = 1; k < 3; k++)
        net.biases[k] = run->biases[k - 1] + channel * run->sizes[k + 1];
    return net;
}

/* Set the sizes of a run; return whether its arrays fit together. */
static int is_run(Run *run, const Counts *n)
{
    int64_t h = run->height, w = run->width, c = run->channels;
    if (!is_length(h) || !is_length(w) || c < 1 || c > 4 || h * w >= (int64_t)1 << 31 || n->window % 3 ||
        n->biases[0] % c || n->biases[1] % c || n->values % (h * w * c + 1) || n->sigmoid != N_SIGMOID ||
        n->slopes != N_SCALES)
        return 0;
    run->n_values = h * w * c, run->n = n->values / (run->n_values + 1);
    size *sizes = run->sizes;
    sizes[0] = n->window / 3, sizes[1] = sizes[2] = n->biases[0] / c, sizes[3] = n->biases[1] / c;
    for (int k = 0; k < 3; k++)
        if (n->weights[k] != c * sizes[k] * sizes[k + 1])
            return 0;
    if (n->rows != c * h * sizes[1] || n->columns != c * w * sizes[1] ||
        (n->anchors && n->anchors != run->n_values * run->n))
        return 0;
    if (!n->anchors)
        run->anchors = NULL;
    if (run->step < 1 || run->raw_bits < 0 || run->raw_bits > 56 || run->step > INT64_MAX >> run->raw_bits ||
        run->lowest > run->highest || run->n_places < 2 || run->n_places > MOST_WINDOW || run->wider < 0 ||
        run->wider > 1 << 16 || run->first < 0 || run->first > run->stop || run->stop > run->n_values)
        return 0;
    run->coarse = run->step << run->raw_bits;
    Network net = network_of(run, 0);
    return is_valid(&net, n->exp) && net.n_components >= 1 && is_window(run->window, sizes[0], c);
}

/* The state of a run. */
typedef struct {
    Network net; /* at the current position */
    Buffers buffers;
    Lines lines;
    Outputs found, of_zeros; /* of a record, and of all records whose inputs are 0 */
    Mixture mixture, mixture_of_zeros;
    int32_t *bias;
    int has_zeros;       /* whether those of records whose inputs are 0 are known */
    int64_t n_evaluated; /* times that the network was evaluated */
} State;

static int take_state(State *state, const Run *run)
{
    Network net = network_of(run, 0);
    memset(state, 0, sizeof *state);
    state->bias = malloc((size_t)run->sizes[1] * 4 + 4);
    int has_memory = take_buffers(&state->buffers, &net) && state->bias;
    has_memory = take_lines(&state->lines, run->window, run->sizes[0], run->n, run->height, run->width, run->channels) &&
                 has_memory;
    if (has_memory)
        lines_fill(&state->lines, run->values, run->first);
    return has_memory;
}

static void free_state(State *state)
{
    free_buffers(&state->buffers);
    free_lines(&state->lines);
    free(state->bias);
}

/* Go to a position: the first of a run, or the next. */
static void go(State *state, const Run *run, int64_t position)
{
    int64_t channel = position % run->channels, place = position / run->channels;
    int64_t row = place / run->width, column = place % run->width, n_units = run->sizes[1];
    const int32_t *of_row = run->rows + (channel * run->height + row) * n_units;
    const int32_t *of_column = run->columns + (channel * run->width + column) * n_units;
    for (size k = 0; k < n_units; k++)
        state->bias[k] = (int32_t)((uint32_t)of_row[k] + (uint32_t)of_column[k]);
    state->net = network_of(run, channel), state->net.biases[0] = state->bias;
    state->has_zeros = 0;
    lines_go(&state->lines, position);
}

/* Set the distribution of a value's coarse steps, given the outputs of the network and the value's anchor. */
static inline void set_mixture(const Run *run, const Outputs *found, int64_t anchor, Mixture *m)
{
    int64_t means[LANES], middle = 16 * (anchor + (run->coarse - run->step) / 2 - run->origin);
    for (size k = 0; k < run->n_components; k++) {
        int64_t distance = found->means[k] - middle;
        means[k] = run->coarse == 1 ? distance : floor_divided(distance, run->coarse);
    }
    int64_t low;
    if (!run->is_whole)
        low = ((means[found->largest] + 8) >> 4) - run->n_places / 2;
    else if (run->coarse == 1)
        low = run->lowest - anchor;
    else
        low = floor_divided(run->lowest - anchor + run->step / 2, run->step) >> run->raw_bits;
    mixture_start(m, low, run->n_places, run->sigmoid);
    for (size k = 0; k < run->n_components; k++) {
        int64_t scale = clip(found->scales[k] - run->wider, 0, N_SCALES - 1);
        mixture_add(m, found->weights[k], means[k], run->slopes[scale]);
    }
}

static inline int64_t anchor_at(const Run *run, size at) { return run->anchors ? run->anchors[at] : 0; }

/* Return the distribution of the value of record i at the current position, number `at` of all values. Records whose
   inputs are 0 share the outputs of the network, and their distribution if there is no code. */
static inline Mixture *predict(State *state, const Run *run, size i, size at)
{
    int is_zero = lines_are_zero(&state->lines, i);
    int is_shared = is_zero && !run->anchors;
    if (is_shared && state->has_zeros)
        return &state->mixture_of_zeros;
    Outputs *found = is_zero ? &state->of_zeros : &state->found;
    Mixture *mixture = is_shared ? &state->mixture_of_zeros : &state->mixture;
    if (!(is_zero && state->has_zeros)) {
        lines_inputs(&state->lines, i, run->sizes[0], state->buffers.x);
        forward(&state->net, &state->buffers, found);
        state->n_evaluated++;
    }
    state->has_zeros |= is_zero;
    set_mixture(run, found, anchor_at(run, at), mixture);
    return mixture;
}

/* causal_intervals(…, steps, starts, frequencies, escaped) -> number of evaluations of the network; the intervals of
   coarse steps at some positions, of records whose values are known. The last four: (V, n) */
PyObject *causal_intervals(PyObject *module, PyObject *args)
{
    Arguments a = {.function = "causal_intervals", .args = args};
    Counts counts;
    size n_steps, n_starts, n_frequencies, n_escaped;
    Run run = take_run(&a, READ, &counts);
    const int64_t *steps = array(&a, "steps", INT64S, READ, &n_steps);
    uint16_t *starts = array(&a, "starts", UINT16S, WRITTEN, &n_starts);
    uint16_t *frequencies = array(&a, "frequencies", UINT16S, WRITTEN, &n_frequencies);
    uint8_t *escaped = array(&a, "escaped", BOOLS, WRITTEN, &n_escaped);
    (void)module;
    if (!is_complete(&a))
        return NULL;
    if (!is_run(&run, &counts) || n_steps != run.n_values * run.n || n_starts != n_steps || n_frequencies != n_steps ||
        n_escaped != n_steps)
        return refuse(&a, "inconsistent sizes");
    State state;
    int has_memory = take_state(&state, &run);
    if (has_memory) {
        Py_BEGIN_ALLOW_THREADS
        for (int64_t position = run.first; position < run.stop; position++) {
            go(&state, &run, position);
            for (size i = 0, at = position * run.n; i < run.n; i++, at++) {
                Mixture *m = predict(&state, &run, i, at);
                uint64_t far = (uint64_t)steps[at] - (uint64_t)m->low;
                int64_t j = far >= (uint64_t)(m->window - 1) ? m->window - 1 : (int64_t)far;
                escaped[at] = j == m->window - 1;
                mixture_place(m, j, starts + at, frequencies + at);
                lines_set(&state.lines, i, run.values[at]);
            }
        }
        Py_END_ALLOW_THREADS
    }
    free_state(&state);
    release(&a);
    if (!has_memory)
        return PyErr_NoMemory();
    return PyLong_FromLongLong(state.n_evaluated);
}

/* The rest of what is decoded, and the decoded values, (V, n). */
typedef struct {
    Message message;
    const int64_t *escapes, *low;
    int64_t *decoded;
    size n_escapes, taken; /* taken: -1 when there were too few escapes */
} Decoding;

/* Decode the values at a position; return whether there were enough words and escapes. */
static int pop_position(State *state, Run *run, int64_t position, Decoding *d)
{
    go(state, run, position);
    for (size i = 0, lane = 0; i < run->n; i++) {
        size at = position * run->n + i;
        Mixture *m = predict(state, run, i, at);
        int64_t j = mixture_pop(m, &d->message, lane), q = m->low + j;
        if (d->message.read < 0)
            return 0;
        if (j == m->window - 1) {
            if (d->taken == d->n_escapes) {
                d->taken = -1;
                return 0;
            }
            q = d->escapes[d->taken++];
        }
        if (run->raw_bits)
            q = (int64_t)((uint64_t)q << run->raw_bits) | d->low[at];
        int64_t value = clip(anchor_at(run, at) + run->step * q, run->lowest, run->highest);
        d->decoded[at] = value;
        run->values[at] = (int16_t)clip(value - run->origin, 0, INT16_MAX);
        lines_set(&state->lines, i, run->values[at]);
        lane = lane + 1 == d->message.n_lanes ? 0 : lane + 1;
    }
    return 1;
}

/* causal_pop(…, states, words, n_read, escapes, n_taken, low, decoded) -> numbers of words and escapes read, -1 if too
   few, and of evaluations of the network; decodes the values at some positions. low has the raw bits, if there are any. */
PyObject *causal_pop(PyObject *module, PyObject *args)
{
    Arguments a = {.function = "causal_pop", .args = args};
    Counts counts;
    size n_low, n_decoded;
    Run run = take_run(&a, WRITTEN, &counts);
    Decoding d = {.message = take_message(&a)};
    d.escapes = array(&a, "escapes", INT64S, READ, &d.n_escapes);
    d.taken = (size)integer(&a, "n_taken");
    d.low = array(&a, "low", INT64S, READ, &n_low);
    d.decoded = array(&a, "decoded", INT64S, WRITTEN, &n_decoded);
    (void)module;
    if (!is_complete(&a))
        return NULL;
    if (!is_run(&run, &counts) || d.message.n_lanes < 1 || d.message.read < 0 || d.taken < 0 ||
        d.taken > d.n_escapes || n_decoded != run.n_values * run.n || n_low != (run.raw_bits ? n_decoded : 0))
        return refuse(&a, "inconsistent sizes");
    State state;
    int has_memory = take_state(&state, &run);
    if (has_memory) {
        Py_BEGIN_ALLOW_THREADS
        for (int64_t position = run.first; position < run.stop; position++)
            if (!pop_position(&state, &run, position, &d))
                break;
        Py_END_ALLOW_THREADS
    }
    free_state(&state);
    release(&a);
    if (!has_memory)
        return PyErr_NoMemory();
    return Py_BuildValue("nnL", d.message.read, d.taken, (long long)state.n_evaluated);
}
