/* The kernel of interpolation: one pass over the records of a block; fields/interpolation.py has the formulas. */

#include "_adaptive.h"
#include "_interpolation.h"
#include <math.h>

#define MOST_STEPS (1 << 20) /* as they are kept for contexts */
#define N_BINS 64
#define N_LENGTHS 24
#define N_AVERAGED 3

/* Offsets of the states of contexts. */
enum {
    OF_ACTIVITY = 0,
    OF_NEAR = OF_ACTIVITY + 2 * N_BINS * N_LENGTHS,
    OF_SIGN = OF_NEAR + 2 * 243 * N_AVERAGED,
    OF_FIRST = OF_SIGN + 9,
    OF_SECOND = OF_FIRST + N_BINS * N_LENGTHS,
    N_STATES = OF_SECOND + 2 * N_LENGTHS
};

/* A record: what is coded, and what is known of it. */
typedef struct {
    const double *targets;
    const int64_t *whole;
    const uint8_t *skipped;
    int64_t *values, *deviations;
    int32_t *steps;
} Record;

/* The values of a row that do not depend on values of the same row. */
typedef struct {
    int64_t *sum, *near, *gap, *activity, *context;
    size n;
} Row;

static inline int64_t magnitude(int32_t q) { return q < 0 ? -(int64_t)q : q; }

static inline int bin_of(uint64_t a)
{
    int bits = 0;
    for (uint64_t rest = a; rest; rest >>= 1)
        bits++;
    bits = bits ? 2 * bits - (bits == 1 || !(a >> (bits - 2) & 1)) : 0;
    return bits < N_BINS ? bits : N_BINS - 1;
}

/* Add a pair of neighbours at the indices `one` and `two` to position j of a row. */
static inline void add_pair(const Record *r, Row *row, size k, int64_t weight, size j, int64_t one, int64_t two)
{
    if (k == 0) {
        row->near[j] = r->values[one], row->gap[j] = r->values[two] - r->values[one];
        int64_t near = magnitude(r->steps[one]) + magnitude(r->steps[two]);
        row->sum[j] = 0, row->activity[j] = 3 * near, row->context[j] = near < 8 ? near : 8;
    } else {
        int64_t x0 = row->near[j];
        row->sum[j] += weight * ((r->values[one] - x0) + (r->values[two] - x0) - row->gap[j]);
    }
}

FOR_EVERY_CPU
static void add_pairs(const Pass *p, const Record *r, Row *row, const int64_t *at)
{
    int64_t last = p->last[3], stride = p->strides[3], first = p->first[3], spacing = p->spacing[3];
    for (size k = 0; k < p->n_pairs; k++) {
        const int8_t *o = p->pairs + N_AXES * k;
        int64_t one = 0, two = 0, far = o[3] < 0 ? -o[3] : o[3], weight = p->pair_weights[k];
        for (int d = 0; d < 3; d++) {
            one += mirrored(at[d] + o[d], p->last[d]) * p->strides[d];
            two += mirrored(at[d] - o[d], p->last[d]) * p->strides[d];
        }
        size start = far > first ? (far - first + spacing - 1) / spacing : 0, stop = start;
        if (last - far >= first)
            stop = (last - far - first) / spacing + 1;
        if (stop < start)
            stop = start = row->n;
        start = start < row->n ? start : row->n, stop = stop < row->n ? stop : row->n;
        for (size j = 0; j < row->n; j++) {
            if (j == start && stop > start) { /* no neighbour is beyond the edge */
                int64_t x = first + spacing * j;
                const int64_t to_one = one + (x + o[3]) * stride, to_two = two + (x - o[3]) * stride;
                for (size i = 0; i < stop - start; i++)
                    add_pair(r, row, k, weight, start + i, to_one + i * spacing * stride,
                             to_two + i * spacing * stride);
                j = stop - 1;
                continue;
            }
            int64_t x = first + spacing * j;
            add_pair(r, row, k, weight, j, one + mirrored(x + o[3], last) * stride,
                     two + mirrored(x - o[3], last) * stride);
        }
    }
}

static inline int64_t sign_of(int32_t q) { return q < 0 ? 2 : q > 0; }

/* Add the neighbours of the same pass in earlier rows. */
FOR_EVERY_CPU
static void add_before(const Pass *p, const Record *r, Row *row, const int64_t *at)
{
    int64_t first = p->first[3], spacing = p->spacing[3], stride = p->strides[3];
    for (size k = 0; k < p->n_before; k++) {
        const int8_t *o = p->before + N_AXES * k;
        int64_t base = 0, is_inside = o[0] || o[1] || o[2], weight = p->before_weights[k];
        for (int d = 0; d < 3; d++) {
            int64_t x = at[d] + o[d];
            is_inside &= x >= p->first[d] && x <= p->last[d];
            base += x * p->strides[d];
        }
        if (!is_inside)
            continue;
        size start = o[3] < 0 ? (-o[3] + spacing - 1) / spacing : 0, stop = row->n;
        while (stop > start && first + spacing * (stop - 1) + o[3] > p->last[3])
            stop--;
        int64_t share = k < (size)p->n_axes ? 8 : 4, place = k == 1 ? 27 : k == 2 ? 9 : 0;
        if (k >= (size)p->n_axes)
            place = 0;
        for (size j = start; j < stop; j++) {
            int64_t i = base + (first + spacing * j + o[3]) * stride, near = magnitude(r->steps[i]);
            row->sum[j] += weight * r->deviations[i];
            row->activity[j] += share * near;
            row->context[j] += place * (near < 2 ? near : 2);
            if (k == 1 && place)
                row->context[j] += sign_of(r->steps[i]) << 16;
        }
    }
}

/* Code q, of which encoders give the value. */
static inline int64_t code_steps(Coder *c, const int is_decoding, uint32_t *states, const int32_t *rates,
                                 int64_t finest, int bin, int64_t context, int64_t sign, int64_t q)
{
    uint64_t size_of = q < 0 ? -(uint64_t)q : (uint64_t)q;
    int n_bits = 0, k = 0;
    if (!is_decoding)
        for (uint64_t rest = size_of; rest; rest >>= 1)
            n_bits++;
    uint32_t *activity = states + OF_ACTIVITY + (finest * N_BINS + bin) * N_LENGTHS;
    uint32_t *near = states + OF_NEAR + (finest * 243 + context) * N_AVERAGED;
    for (; k < 64; k++) {
        int more = n_bits > k;
        if (k < N_AVERAGED)
            more = code_averaged(c, is_decoding, activity + k, near + k, rates, more);
        else
            more = code_adaptive(c, is_decoding, activity + (k < N_LENGTHS ? k : N_LENGTHS - 1), rates, more);
        if (!more)
            break;
    }
    if (!k)
        return 0;
    int is_negative = code_adaptive(c, is_decoding, states + OF_SIGN + sign, rates, q < 0);
    uint64_t value = 1;
    int length = k < N_LENGTHS ? k : N_LENGTHS - 1, second = 0;
    for (int i = k - 2; i >= 0; i--) {
        int bit = (int)(size_of >> i & 1);
        if (i == k - 2)
            second = bit =
                code_adaptive(c, is_decoding, states + OF_FIRST + bin * N_LENGTHS + length, rates, bit);
        else if (i == k - 3)
            bit = code_adaptive(c, is_decoding, states + OF_SECOND + 2 * length + second, rates, bit);
        else
            bit = code_bit(c, is_decoding, 32768, bit);
        value = value << 1 | (uint64_t)bit;
    }
    return (int64_t)(is_negative ? -value : value);
}

/* Return the step nearest to the target of a value. */
static inline int64_t nearest(const Pass *p, const Record *r, int64_t at, int64_t prediction)
{
    if (r->skipped && r->skipped[at])
        return 0;
    if (r->targets)
        return (int64_t)rint((r->targets[at] - (double)prediction) / (double)p->step);
    int64_t distance = r->whole[at] - prediction, low = floor_divided(distance, p->step);
    return low + (distance - low * p->step > p->step / 2);
}

static inline void code_row(const Pass *p, Record *r, const Row *row, const int64_t *at, Coder *c,
                            const int is_decoding, uint32_t *states, const int32_t *rates)
{
    int64_t spacing = p->spacing[3], stride = p->strides[3];
    int64_t i = at[0] * p->strides[0] + at[1] * p->strides[1] + at[2] * p->strides[2] + p->first[3] * stride;
    int64_t weight = p->n_before ? p->before_weights[0] : 0, deviation = 0, left = 0, step = p->step;
    for (size j = 0; j < row->n; j++, i += spacing * stride) {
        int64_t gap = row->gap[j], sum = 32768 * gap + row->sum[j] + weight * deviation;
        int64_t prediction = clip(row->near[j] + ((sum + 32768) >> 16), p->lowest, p->highest);
        int64_t near = left < 0 ? -left : left, context = row->context[j];
        int bin = bin_of((uint64_t)(row->activity[j] + 8 * near));
        int64_t sign = (left < 0 ? 2 : left > 0) + 3 * (context >> 16);
        context = (context & 0xFFFF) + 81 * (near < 2 ? near : 2);
        int64_t q = is_decoding ? 0 : nearest(p, r, i, prediction);
        q = code_steps(c, is_decoding, states, rates, p->is_finest, bin, context, sign, q);
        int64_t value = clip(prediction + step * q, p->lowest, p->highest);
        left = clip(q, -MOST_STEPS, MOST_STEPS);
        r->values[i] = value, r->steps[i] = (int32_t)left;
        /* twice the value minus the sum of the nearest pair */
        r->deviations[i] = deviation = (value - row->near[j]) + (value - row->near[j]) - gap;
    }
}

static void code_record(const Pass *p, Record *r, Row *row, Coder *coder, int is_decoding, uint32_t *states,
                        const int32_t *rates)
{
    int64_t at[3];
    Coder c = *coder;
    for (at[0] = p->first[0]; at[0] <= p->last[0]; at[0] += p->spacing[0])
        for (at[1] = p->first[1]; at[1] <= p->last[1]; at[1] += p->spacing[1])
            for (at[2] = p->first[2]; at[2] <= p->last[2]; at[2] += p->spacing[2]) {
                add_pairs(p, r, row, at);
                add_before(p, r, row, at);
                if (is_decoding)
                    code_row(p, r, row, at, &c, 1, states, rates);
                else
                    code_row(p, r, row, at, &c, 0, states, rates);
            }
    *coder = c;
}

/* interpolate(is_decoding, settings, targets, whole, skipped, values, steps, deviations, pairs, pair_weights, before,
               before_weights, states, rates, coder, bytes, scratch)
   codes one pass of all records; targets, whole and skipped may be empty. */
PyObject *interpolate(PyObject *module, PyObject *args)
{
    Arguments a = {.function = "interpolate", .args = args};
    Pass p = {0};
    int64_t settings[N_SETTINGS];
    size n_targets, n_whole, n_skipped, n_values, n_steps, n_deviations, n_pairs, n_pair_weights, n_before;
    size n_before_weights, n_states, n_rates, n_coder, n_bytes, n_scratch;
    int is_decoding = (int)integer(&a, "is_decoding");
    integers(&a, "settings", settings, N_SETTINGS);
    Record r = {0};
    r.targets = array(&a, "targets", FLOAT64S, READ, &n_targets);
    r.whole = array(&a, "whole", INT64S, READ, &n_whole);
    r.skipped = array(&a, "skipped", BOOLS, READ, &n_skipped);
    r.values = array(&a, "values", INT64S, WRITTEN, &n_values);
    r.steps = array(&a, "steps", INT32S, WRITTEN, &n_steps);
    r.deviations = array(&a, "deviations", INT64S, WRITTEN, &n_deviations);
    p.pairs = array(&a, "pairs", INT8S, READ, &n_pairs);
    p.pair_weights = array(&a, "pair_weights", INT64S, READ, &n_pair_weights);
    p.before = array(&a, "before", INT8S, READ, &n_before);
    p.before_weights = array(&a, "before_weights", INT64S, READ, &n_before_weights);
    uint32_t *states = array(&a, "states", UINT32S, WRITTEN, &n_states);
    const int32_t *rates = array(&a, "rates", INT32S, READ, &n_rates);
    int64_t *state = array(&a, "coder", INT64S, WRITTEN, &n_coder);
    uint8_t *bytes = array(&a, "bytes", UINT8S, is_decoding ? READ : WRITTEN, &n_bytes);
    int64_t *scratch = array(&a, "scratch", INT64S, WRITTEN, &n_scratch);
    (void)module;
    if (!is_complete(&a))
        return NULL;
    p.n_pairs = n_pair_weights, p.n_before = n_before_weights;
    int wrong = !take_pass(&p, settings) || p.n_pairs < 1 || p.n_pairs > MOST_OFFSETS || p.n_before > MOST_OFFSETS ||
                n_pairs != N_AXES * p.n_pairs || n_before != N_AXES * p.n_before || !are_offsets(p.pairs, n_pairs) ||
                !are_offsets(p.before, n_before) || n_states != N_STATES || n_rates != MOST_COUNT + 1 ||
                n_coder != N_CODER || n_scratch < 5 * settings[3] || n_steps != n_values || n_deviations != n_values;
    int64_t each = wrong ? 1 : settings[0] * settings[1] * settings[2] * settings[3];
    if (wrong || n_values % each || (n_skipped && n_skipped != n_values) ||
        (!is_decoding && (n_targets ? n_targets : n_whole) != n_values))
        return refuse(&a, "inconsistent sizes");
    if (p.last[3] < p.first[3])
        p.last[p.axis] = -1; /* no position */
    Py_BEGIN_ALLOW_THREADS
    Row row = {scratch, scratch + settings[3], scratch + 2 * settings[3], scratch + 3 * settings[3],
               scratch + 4 * settings[3], (p.last[3] - p.first[3]) / p.spacing[3] + 1};
    Coder coder = coder_from(state, bytes, n_bytes);
    for (int64_t at = 0; at < n_values; at += each) {
        Record one = {n_targets ? r.targets + at : NULL, n_whole ? r.whole + at : NULL,
                      n_skipped ? r.skipped + at : NULL, r.values + at, r.deviations + at, r.steps + at};
        code_record(&p, &one, &row, &coder, is_decoding, states, rates);
    }
    coder_store(&coder, state);
    Py_END_ALLOW_THREADS
    release(&a);
    Py_RETURN_NONE;
}
