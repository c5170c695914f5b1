/* The kernel that gathers the neighbours of values, for fitting weights; fields/fit.py has the formulas. */

#include "_interpolation.h"

/* Return twice a value minus the sum of its nearest pair, for a value of the record at `record`. */
static double deviation_at(const Pass *p, const int64_t *values, const double *targets, const int64_t *x)
{
    int64_t at = 0, one = 0, two = 0;
    for (int d = 0; d < N_AXES; d++) {
        at += x[d] * p->strides[d];
        one += mirrored(x[d] + p->pairs[d], p->last[d]) * p->strides[d];
        two += mirrored(x[d] - p->pairs[d], p->last[d]) * p->strides[d];
    }
    return 2 * (targets[at] - (double)values[one]) - (double)(values[two] - values[one]);
}

static void gather(const Pass *p, const int64_t *values, const double *targets, const uint8_t *skipped,
                   const int64_t *x, double *column, size n)
{
    double near = 0, gap = 0;
    for (size k = 0; k < p->n_pairs; k++) {
        const int8_t *o = p->pairs + N_AXES * k;
        int64_t one = 0, two = 0;
        for (int d = 0; d < N_AXES; d++) {
            one += mirrored(x[d] + o[d], p->last[d]) * p->strides[d];
            two += mirrored(x[d] - o[d], p->last[d]) * p->strides[d];
        }
        double first = (double)values[one], apart = (double)(values[two] - values[one]);
        if (k == 0)
            near = column[0] = first, gap = column[n] = apart;
        else
            column[(k + 1) * n] = 2 * (first - near) + apart - gap;
    }
    for (size k = 0; k < p->n_before; k++) {
        const int8_t *o = p->before + N_AXES * k;
        int64_t moved[N_AXES], at = 0;
        int is_inside = 1;
        for (int d = 0; d < N_AXES; d++) {
            moved[d] = x[d] + o[d];
            is_inside &= moved[d] >= p->first[d] && moved[d] <= p->last[d];
            at += moved[d] * p->strides[d];
        }
        column[(p->n_pairs + 1 + k) * n] =
            is_inside && !skipped[at] ? deviation_at(p, values, targets, moved) : 0;
    }
}

/* neighbours(settings, values, targets, skipped, records, places, pairs, before, columns): for the sample of n values at
   (record, place), the first nearest neighbour, the other minus it, and what each weight multiplies: columns (…, n) */
PyObject *neighbours(PyObject *module, PyObject *args)
{
    Arguments a = {.function = "neighbours", .args = args};
    Pass p = {0};
    int64_t settings[N_SETTINGS];
    size n_values, n_targets, n_skipped, n, n_places, n_pairs, n_before, n_columns;
    integers(&a, "settings", settings, N_SETTINGS);
    const int64_t *values = array(&a, "values", INT64S, READ, &n_values);
    const double *targets = array(&a, "targets", FLOAT64S, READ, &n_targets);
    const uint8_t *skipped = array(&a, "skipped", BOOLS, READ, &n_skipped);
    const int64_t *records = array(&a, "records", INT64S, READ, &n);
    const int64_t *places = array(&a, "places", INT64S, READ, &n_places);
    p.pairs = array(&a, "pairs", INT8S, READ, &n_pairs);
    p.before = array(&a, "before", INT8S, READ, &n_before);
    double *columns = array(&a, "columns", FLOAT64S, WRITTEN, &n_columns);
    (void)module;
    if (!is_complete(&a))
        return NULL;
    p.n_pairs = n_pairs / N_AXES, p.n_before = n_before / N_AXES;
    int wrong = !take_pass(&p, settings) || n_pairs % N_AXES || n_before % N_AXES || p.n_pairs < 1 ||
                p.n_pairs > MOST_OFFSETS || p.n_before > MOST_OFFSETS || !are_offsets(p.pairs, n_pairs) ||
                !are_offsets(p.before, n_before) || n_targets != n_values || n_skipped != n_values ||
                n_places != N_AXES * n || n_columns != (1 + p.n_pairs + p.n_before) * n;
    int64_t each = wrong ? 1 : settings[0] * settings[1] * settings[2] * settings[3];
    for (size i = 0; i < n && !wrong; i++) {
        wrong = records[i] < 0 || records[i] >= n_values / each;
        for (int d = 0; d < N_AXES; d++)
            wrong |= places[d * n + i] < 0 || places[d * n + i] > p.last[d];
    }
    if (wrong || n_values % each)
        return refuse(&a, "inconsistent sizes");
    Py_BEGIN_ALLOW_THREADS
    for (size i = 0; i < n; i++) {
        int64_t x[N_AXES] = {places[i], places[n + i], places[2 * n + i], places[3 * n + i]}, at = records[i] * each;
        gather(&p, values + at, targets + at, skipped + at, x, columns + i, n);
    }
    Py_END_ALLOW_THREADS
    release(&a);
    Py_RETURN_NONE;
}
