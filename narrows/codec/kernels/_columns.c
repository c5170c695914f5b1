/* The kernel of columns of tables: contexts, mixing, and the coding of rows; columns/coder.py has the formulas. */

#include "_columns.h"

typedef struct {
    const Column *columns;
    const Term *terms;
    const Feature *features;
    const Context *contexts;
    const Node *nodes;
    const Leaf *leaves;
    const int64_t *edges;
    const Key *keys;
    size n_keys, n_columns, n_terms, n_features, n_contexts, n_nodes, n_leaves, n_edges;
    uint32_t *cells;
    int32_t *learnt;
    size n_cells, n_learnt;
    const int16_t *stretch;
    const uint16_t *squash;
    const int32_t *rates, *bits;
    int64_t *values, *exceptions, *costs; /* of exceptions: the place, and the value */
    int32_t *residuals, *quantised;
    size n, n_exceptions, next_exception;
    int mode;
    Coder coder;
} Rows;

/* The prediction of a value's decisions, for learning. */
typedef struct {
    int32_t x[MOST_INPUTS], *rows[N_SETS], *last, outputs[N_SETS], errors[N_SETS];
    uint32_t *cells[MOST_CONTEXTS], *maps[MOST_CONTEXTS], *buckets[MOST_CONTEXTS];
    uint64_t hashes[MOST_CONTEXTS];
    int n_contexts, n_inputs, output;
} Decision;

static inline uint64_t mix(uint64_t a, uint64_t b)
{
    uint64_t x = (a + b + 0x9E3779B97F4A7C15u) * 0xD6E8FEB86659FD93u;
    return x ^ x >> 32;
}

static inline int64_t value_at(const Rows *r, size row, int64_t column, int64_t lag)
{
    return row < lag ? r->columns[column].start : r->values[(row - lag) * r->n_columns + column];
}

static int32_t quantised(const Rows *r, const Column *c, int64_t value)
{
    int32_t low = 0, high = (int32_t)c->n_edges;
    while (low < high) {
        int32_t middle = (low + high) >> 1;
        if (value < r->edges[c->first_edge + middle])
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static inline int64_t modulo(uint64_t a, int64_t m) /* of a as a signed number */
{
    int64_t rest = (int64_t)a % m;
    return rest < 0 ? rest + m : rest;
}

/* Return what the table of a column has for a number; 0 if it is not there. */
static int64_t looked_up(const Rows *r, const Column *c, int64_t number)
{
    const Key *keys = r->keys + c->first_key;
    int64_t low = 0, high = c->n_keys;
    while (low < high) {
        int64_t middle = (low + high) >> 1;
        if (keys[middle].key < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low < c->n_keys && keys[low].key == number ? keys[low].value : 0;
}

static int64_t prediction(const Rows *r, const Column *c, size row)
{
    uint64_t sum = (uint64_t)c->bias;
    for (const Term *t = r->terms + c->first_term, *end = t + c->n_terms; t < end; t++) {
        uint64_t x = (uint64_t)value_at(r, row, t->column, t->lag);
        if (t->other >= 0)
            x *= (uint64_t)value_at(r, row, t->other, t->other_lag);
        sum += x * (uint64_t)t->factor;
    }
    int64_t predicted = (int64_t)sum >> c->shift;
    if (c->lookup >= 0)
        predicted = (int64_t)((uint64_t)predicted + (uint64_t)looked_up(r, c, value_at(r, row, c->lookup, 0)));
    return predicted;
}

static int64_t with_residual(const Column *c, int64_t predicted, int64_t residual)
{
    uint64_t value = (uint64_t)predicted + (uint64_t)residual;
    return c->modulus ? c->lowest + modulo(value - (uint64_t)c->lowest, c->modulus) : (int64_t)value;
}

static int64_t residual_of(const Column *c, int64_t predicted, int64_t value)
{
    uint64_t residual = (uint64_t)value - (uint64_t)predicted;
    int64_t half = c->modulus / 2;
    return c->modulus ? modulo(residual + (uint64_t)half, c->modulus) - half : (int64_t)residual;
}

static int64_t feature(const Rows *r, const Feature *f, size row, int64_t predicted)
{
    size at = (row - f->lag) * r->n_columns + f->column;
    switch (f->kind) {
    case VALUE:
        return value_at(r, row, f->column, f->lag) >> f->shift;
    case RESIDUAL:
        return row < f->lag ? 0 : (int64_t)r->residuals[at] >> f->shift;
    case QUANTISED:
        return (int64_t)(row < f->lag ? quantised(r, r->columns + f->column, r->columns[f->column].start)
                                      : r->quantised[at]) >>
               f->shift;
    case PREDICTION:
        return predicted >> f->shift;
    case REMAINDER:
        return modulo((uint64_t)value_at(r, row, f->column, f->lag), f->shift);
    default:
        return (int64_t)((uint64_t)value_at(r, row, f->column, f->lag) - (uint64_t)predicted) >> f->shift;
    }
}

static void set_hashes(const Rows *r, Decision *d, const Column *c, size row, int64_t predicted)
{
    d->n_contexts = (int)c->n_contexts;
    d->n_inputs = (2 * d->n_contexts + 8) & ~7;
    for (int i = 0; i < d->n_contexts; i++) {
        const Context *x = r->contexts + c->first_context + i;
        uint64_t hash = (uint64_t)(c - r->columns) * MOST_CONTEXTS + (uint64_t)i;
        for (const Feature *f = r->features + x->first, *end = f + x->n; f < end; f++)
            hash = mix(hash, (uint64_t)feature(r, f, row, predicted));
        d->hashes[i] = hash;
    }
}

static uint32_t *bucket_of(const Rows *r, uint64_t hash)
{
    uint32_t i = (uint32_t)hash & (uint32_t)(r->n_cells / N_SLOT - 1), check = (uint32_t)(hash >> 32) | 1;
    uint32_t *one = r->cells + N_SLOT * (size)i, *two = r->cells + N_SLOT * (size)(i ^ 1);
    if (*one == check || *two == check)
        return *one == check ? one : two;
    uint32_t *bucket = !*one || (*two && (one[1] & 1023) <= (two[1] & 1023)) ? one : two;
    bucket[0] = check;
    for (int k = 1; k < N_SLOT; k++)
        bucket[k] = 1u << 31;
    return bucket;
}

static inline int count_class(uint32_t n)
{
    static const uint8_t CLASSES[40] = {0, 1, 2, 3, 4, 5, 6, 6, 7, 7, 7, 7, 8, 8, 8, 8, 8, 8, 8, 8,
                                        9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9};
    return n < 40 ? CLASSES[n] : n < 80 ? 10 : n < 160 ? 11 : n < MOST_COUNT ? 12 : 13;
}

static inline int limited(int64_t x)
{
    return x < -MOST_STRETCHED ? -MOST_STRETCHED : x > MOST_STRETCHED ? MOST_STRETCHED : (int)x;
}

static inline int squashed(const Rows *r, int x) { return r->squash[x + MOST_STRETCHED]; }

FOR_EVERY_CPU
static void dot(Decision *d)
{
    for (int k = 0; k < N_SETS; k++) {
        const int32_t *w = d->rows[k];
        int32_t sum = 0;
        for (int i = 0; i < d->n_inputs; i++)
            sum += d->x[i] * w[i] >> 8;
        d->outputs[k] = limited(sum >> 8);
    }
}

FOR_EVERY_CPU
static void adjust(Decision *d)
{
    for (int k = 0; k < N_SETS; k++) {
        int32_t *w = d->rows[k], e = d->errors[k];
        for (int i = 0; i < d->n_inputs; i++) {
            int32_t next = w[i] + ((d->x[i] * e + (1 << 15)) >> 16);
            w[i] = next < -MOST_WEIGHT ? -MOST_WEIGHT : next > MOST_WEIGHT ? MOST_WEIGHT : next;
        }
    }
}

/* Take the bucket of each context in a block; memory is asked for all of them before it is needed. */
static void set_buckets(const Rows *r, Decision *d, int64_t block)
{
    uint64_t hashes[MOST_CONTEXTS];
    for (int i = 0; i < d->n_contexts; i++) {
        hashes[i] = block ? mix(d->hashes[i], (uint64_t)block) : d->hashes[i];
        FETCH(r->cells + N_SLOT * ((size)hashes[i] & (r->n_cells / N_SLOT - 1) & ~(size)1));
    }
    for (int i = 0; i < d->n_contexts; i++)
        d->buckets[i] = bucket_of(r, hashes[i]);
}

/* Return the probability, in 16 bits, that the value is at or above the node's split. */
static int predict(const Rows *r, Decision *d, const Column *c, int64_t number, const Node *node, int depth)
{
    uint32_t *maps = (uint32_t *)r->learnt + c->of_maps;
    int n_known = 0, counts = 0;
    if (node->cell == 1)
        set_buckets(r, d, node->block);
    for (int i = 0; i < d->n_contexts; i++) {
        uint32_t state = *(d->cells[i] = d->buckets[i] + node->cell), n = state & 1023;
        int32_t x = r->stretch[state >> 20], class = count_class(n);
        d->maps[i] = maps + i * N_MAP + class * 32 + ((x + 2048) >> 7);
        d->x[2 * i] = n ? x : 0;
        d->x[2 * i + 1] = n ? r->stretch[*d->maps[i] >> 20] : 0;
        n_known += n > 0;
        if (i && i < 4)
            counts = counts * 4 + (n ? 1 + (n > 3) + (n > 30) : 0);
    }
    d->x[2 * d->n_contexts] = ONE;
    for (int i = 2 * d->n_contexts + 1; i < d->n_inputs; i++)
        d->x[i] = 0;
    int64_t by_node = number < N_BY_NODE ? number : N_BY_NODE - 1;
    int by_known = n_known * 8 + (depth < 7 ? depth : 7);
    int32_t *weights = r->learnt + c->of_weights;
    d->rows[0] = weights + by_node * d->n_inputs;
    d->rows[1] = weights + (N_BY_NODE + by_known) * d->n_inputs;
    d->rows[2] = weights + (N_BY_NODE + N_BY_KNOWN + counts) * d->n_inputs;
    d->last = r->learnt + c->of_last + by_node * N_LAST;
    dot(d);
    int64_t sum = 0;
    for (int k = 0; k < N_SETS; k++)
        sum += (int64_t)d->outputs[k] * d->last[k];
    return squashed(r, d->output = limited(sum >> 16));
}

static void learn(const Rows *r, Decision *d, const Column *c, int bit)
{
    int32_t *count = &d->last[N_LAST - 1], rate = (int32_t)(c->rate + 224 * 400 / (400 + *count));
    *count += *count < 1 << 20;
    int32_t target = bit << 16, error = target - squashed(r, d->output);
    for (int i = 0; i < d->n_contexts; i++) {
        if (*d->cells[i] & 1023)
            state_update(d->maps[i], r->rates, bit);
        state_update(d->cells[i], r->rates, bit);
    }
    for (int k = 0; k < N_SETS; k++) {
        d->errors[k] = (target - squashed(r, d->outputs[k])) * rate >> 8;
        d->last[k] += ((int64_t)d->outputs[k] * error * 2 + (1 << 19)) >> 20;
    }
    adjust(d);
}

static int code(Rows *r, int64_t *cost, int p, int bit)
{
    if (r->mode == MEASURE) {
        *cost += r->bits[(bit ? p : 65536 - p) >> 4];
        return bit;
    }
    return code_bit(&r->coder, r->mode == DECODE, (uint32_t)p, bit);
}

/* Code a residual that is within the leaves; return it. */
static int64_t code_residual(Rows *r, const Column *c, size row, int64_t predicted, int64_t residual)
{
    Decision d;
    int64_t at = c->n_nodes ? 0 : -1, *cost = r->costs + (c - r->columns);
    if (c->n_nodes)
        set_hashes(r, &d, c, row, predicted);
    for (int depth = 0; at >= 0; depth++) {
        const Node *node = r->nodes + c->first_node + at;
        int bit = code(r, cost, predict(r, &d, c, at, node, depth), residual >= node->split);
        learn(r, &d, c, bit);
        at = bit ? node->right : node->left;
    }
    const Leaf *leaf = r->leaves + c->first_leaf - 1 - at;
    int64_t start = leaf->start, width = leaf->width;
    while (width > 1) {
        int64_t half = width >> 1;
        int p = width <= 1 << 16 ? (int)(((width - half) << 16) / width) : 1 << 15;
        if (code(r, cost, p, residual >= start + half))
            start += half, width -= half;
        else
            width = half;
    }
    return start;
}

/* Return whether a residual is in a leaf, and gives the value. */
static int is_coded(const Rows *r, const Column *c, int64_t predicted, int64_t value, int64_t residual)
{
    int64_t at = c->n_nodes ? 0 : -1;
    while (at >= 0) {
        const Node *node = r->nodes + c->first_node + at;
        at = residual >= node->split ? node->right : node->left;
    }
    const Leaf *leaf = r->leaves + c->first_leaf - 1 - at;
    return residual >= leaf->start && (uint64_t)residual - (uint64_t)leaf->start < (uint64_t)leaf->width &&
           residual >= INT32_MIN && residual <= INT32_MAX && with_residual(c, predicted, residual) == value;
}

static void code_value(Rows *r, size row, size k)
{
    const Column *c = r->columns + k;
    if (!c->is_active)
        return;
    int64_t place = row * r->n_columns + k, predicted = prediction(r, c, row), residual = 0;
    int64_t *value = r->values + place, *exception = r->exceptions + 2 * r->next_exception;
    if (c->mask >= 0 && r->values[row * r->n_columns + c->mask])
        *value = with_residual(c, predicted, 0);
    else if (r->mode == DECODE && r->next_exception < r->n_exceptions && exception[0] == place) {
        *value = exception[1];
        r->next_exception++;
    } else if (r->mode == DECODE) {
        residual = code_residual(r, c, row, predicted, 0);
        *value = with_residual(c, predicted, residual);
    } else {
        residual = residual_of(c, predicted, *value);
        if (!is_coded(r, c, predicted, *value, residual)) {
            residual = 0;
            if (r->mode == ENCODE && r->next_exception < r->n_exceptions) {
                exception[0] = place, exception[1] = *value;
                r->next_exception++;
            } else
                r->costs[k] += EXCEPTION;
        } else
            code_residual(r, c, row, predicted, residual);
    }
    r->residuals[place] = (int32_t)residual;
    r->quantised[place] = c->n_edges ? quantised(r, c, *value) : 0;
}

/* Write the bytes of an encoder, as few as possible: the value within its range that has the most zeros at its end. */
static size ended(Coder *c)
{
    for (int n = 32; n > 0; n -= 8) {
        uint64_t zeros = ((uint64_t)1 << n) - 1, value = (c->low + zeros) & ~zeros;
        if (value < c->low + c->range) {
            c->low = value;
            break;
        }
    }
    for (int k = 0; k < 5; k++)
        coder_shift(c);
    if (c->at > c->room)
        return -1;
    memmove(c->bytes, c->bytes + 1, (size_t)--c->at);
    while (c->at && !c->bytes[c->at - 1])
        c->at--;
    return c->at;
}

static int is_inside(int64_t first, int64_t n, size room) { return first >= 0 && n >= 0 && first <= room && n <= room - first; }

static int is_source(const Rows *r, int64_t column, int64_t lag, size k)
{
    return lag >= 0 && lag <= 1 << 20 && column >= 0 && column < (lag ? r->n_columns : k);
}

static int is_valid(const Rows *r, size k)
{
    const Column *c = r->columns + k;
    int64_t n_inputs = (2 * c->n_contexts + 8) & ~7;
    if (c->mask >= (int64_t)k || c->lookup >= (int64_t)k || !is_inside(c->first_key, c->n_keys, r->n_keys) || c->modulus < 0 || c->shift < 0 || c->shift > 62 || c->rate < 0 || c->rate > MOST_RATE ||
        !is_inside(c->first_term, c->n_terms, r->n_terms) || c->n_contexts > MOST_CONTEXTS ||
        !is_inside(c->first_context, c->n_contexts, r->n_contexts) ||
        !is_inside(c->first_node, c->n_nodes, r->n_nodes) || !is_inside(c->first_leaf, c->n_nodes + 1, r->n_leaves) ||
        !is_inside(c->first_edge, c->n_edges, r->n_edges) ||
        !is_inside(c->of_maps, c->n_contexts * N_MAP, r->n_learnt) ||
        !is_inside(c->of_weights, (N_BY_NODE + N_BY_KNOWN + N_BY_COUNTS) * n_inputs, r->n_learnt) ||
        !is_inside(c->of_last, N_BY_NODE * N_LAST, r->n_learnt))
        return 0;
    for (const Term *t = r->terms + c->first_term, *end = t + c->n_terms; t < end; t++)
        if (!is_source(r, t->column, t->lag, k) || (t->other >= 0 && !is_source(r, t->other, t->other_lag, k)))
            return 0;
    for (const Context *x = r->contexts + c->first_context, *end = x + c->n_contexts; x < end; x++) {
        if (!is_inside(x->first, x->n, r->n_features))
            return 0;
        for (const Feature *f = r->features + x->first, *last = f + x->n; f < last; f++)
            if (f->kind < 0 || f->kind >= N_KINDS || f->shift < (f->kind == REMAINDER) ||
                (f->shift > 62 && f->kind != REMAINDER) ||
                (f->kind != PREDICTION && !is_source(r, f->column, f->lag, k)))
                return 0;
    }
    for (int64_t i = 0; i < c->n_nodes; i++) {
        const Node *node = r->nodes + c->first_node + i;
        if ((node->left <= i && node->left >= 0) || node->left >= c->n_nodes || node->left < -c->n_nodes - 1 ||
            (node->right <= i && node->right >= 0) || node->right >= c->n_nodes || node->right < -c->n_nodes - 1 ||
            node->cell < 1 || node->cell >= N_SLOT || (!i && node->cell != 1))
            return 0;
    }
    return 1;
}

static int are_valid(const Rows *r)
{
    for (size k = 0; k < r->n_columns; k++)
        if (!is_valid(r, k))
            return 0;
    return 1;
}

/* columns_rows(columns, terms, features, contexts, nodes, leaves, edges, keys, cells, learnt, stretch, squash, rates, bits,
   values, residuals, quantised, exceptions, costs, coded, (mode, n_coded)) -> (number of bytes, number of exceptions). */
PyObject *columns_rows(PyObject *module, PyObject *args)
{
    Arguments a = {.function = "columns_rows", .args = args};
    Rows r = {0};
    size n[20];
    int64_t settings[2];
    r.columns = array(&a, "columns", INT64S, READ, n);
    r.terms = array(&a, "terms", INT64S, READ, n + 1);
    r.features = array(&a, "features", INT64S, READ, n + 2);
    r.contexts = array(&a, "contexts", INT64S, READ, n + 3);
    r.nodes = array(&a, "nodes", INT64S, READ, n + 4);
    r.leaves = array(&a, "leaves", INT64S, READ, n + 5);
    r.edges = array(&a, "edges", INT64S, READ, n + 6);
    r.keys = array(&a, "keys", INT64S, READ, n + 19);
    r.cells = array(&a, "cells", UINT32S, WRITTEN, n + 7);
    r.learnt = array(&a, "learnt", INT32S, WRITTEN, n + 8);
    r.stretch = array(&a, "stretch", INT16S, READ, n + 9);
    r.squash = array(&a, "squash", UINT16S, READ, n + 10);
    r.rates = array(&a, "rates", INT32S, READ, n + 11);
    r.bits = array(&a, "bits", INT32S, READ, n + 12);
    r.values = array(&a, "values", INT64S, WRITTEN, n + 13);
    r.residuals = array(&a, "residuals", INT32S, WRITTEN, n + 14);
    r.quantised = array(&a, "quantised", INT32S, WRITTEN, n + 15);
    r.exceptions = array(&a, "exceptions", INT64S, WRITTEN, n + 16);
    r.costs = array(&a, "costs", INT64S, WRITTEN, n + 17);
    uint8_t *coded = array(&a, "coded", UINT8S, WRITTEN, n + 18);
    integers(&a, "settings", settings, 2);
    (void)module;
    if (!is_complete(&a))
        return NULL;
    r.n_columns = n[0] / N_FIELDS(Column), r.n_terms = n[1] / N_FIELDS(Term), r.n_features = n[2] / N_FIELDS(Feature);
    r.n_contexts = n[3] / N_FIELDS(Context), r.n_nodes = n[4] / N_FIELDS(Node), r.n_leaves = n[5] / N_FIELDS(Leaf);
    r.n_keys = n[19] / N_FIELDS(Key), r.n_edges = n[6], r.n_cells = n[7], r.n_learnt = n[8], r.n_exceptions = n[16] / 2;
    r.mode = (int)settings[0], r.n = r.n_columns ? n[13] / r.n_columns : 0;
    size n_coded = settings[1];
    if (n[9] != 4096 || n[10] != 2 * MOST_STRETCHED + 1 || n[11] != MOST_COUNT + 1 || n[12] != 4097 ||
        n[13] != r.n * r.n_columns || n[14] != n[13] || n[15] != n[13] || n[17] != r.n_columns ||
        r.n_cells < 2 * N_SLOT || (r.n_cells & (r.n_cells - 1)) || r.n_cells > (size)1 << 34 || r.mode < ENCODE ||
        r.mode > MEASURE || n_coded < 0 || n_coded > n[18] || !are_valid(&r))
        return refuse(&a, "inconsistent sizes");
    Py_BEGIN_ALLOW_THREADS
    uint32_t first = 0;
    for (size k = 0; k < 4 && r.mode == DECODE; k++)
        first = first << 8 | (k < n_coded ? coded[k] : 0);
    r.coder = (Coder){0, 0xFFFFFFFFu, first, r.mode == DECODE ? 4 : 0, 0, 0, r.mode == DECODE ? n_coded : n[18], coded};
    for (size row = 0; row < r.n; row++)
        for (size k = 0; k < r.n_columns; k++)
            code_value(&r, row, k);
    n_coded = r.mode == ENCODE ? ended(&r.coder) : 0;
    Py_END_ALLOW_THREADS
    release(&a);
    return Py_BuildValue("(nn)", n_coded, r.next_exception);
}

enum { LAST_CELLS = 4 };

typedef struct {
    int64_t first, last, block, cell;
} Waiting;

/* columns_nodes(starts, total, nodes, waiting): the nodes (n - 1, 5) of `trees.nodes_of` for n leaves; `total` has the
   n + 1 sums of the weights before each leaf, and `waiting` room for four numbers of each node. */
PyObject *columns_nodes(PyObject *module, PyObject *args)
{
    Arguments a = {.function = "columns_nodes", .args = args};
    size n, n_total, n_nodes, n_waiting;
    const int64_t *starts = array(&a, "starts", INT64S, READ, &n);
    const int64_t *total = array(&a, "total", INT64S, READ, &n_total);
    int64_t(*nodes)[5] = array(&a, "nodes", INT64S, WRITTEN, &n_nodes);
    Waiting *waiting = array(&a, "waiting", INT64S, WRITTEN, &n_waiting);
    (void)module;
    if (!is_complete(&a))
        return NULL;
    if (n < 1 || n_total != n + 1 || n_nodes != 5 * (n - 1) || n_waiting != 4 * (n - 1))
        return refuse(&a, "inconsistent sizes");
    Py_BEGIN_ALLOW_THREADS
    size n_known = n > 1;
    int64_t n_blocks = 1;
    if (n_known)
        waiting[0] = (Waiting){0, n, 0, 1};
    for (size i = 0; i < n_known; i++) {
        Waiting one = waiting[i];
        int64_t twice = total[one.first] + total[one.last], k = one.first + 1, end = one.last - 1;
        while (k < end) { /* the first of them with at least half of the weight before it, or the last */
            int64_t middle = k + (end - k) / 2;
            if (total[middle] < (twice + 1) >> 1)
                k = middle + 1;
            else
                end = middle;
        }
        if (k > one.first + 1 && twice - 2 * total[k - 1] <= 2 * total[k] - twice)
            k--;
        int64_t bounds[3] = {one.first, k, one.last}, children[2];
        for (int side = 0; side < 2; side++) {
            Waiting child = {bounds[side], bounds[side + 1], one.block, 2 * one.cell + side};
            if (child.last - child.first == 1) {
                children[side] = -1 - child.first;
                continue;
            }
            if (one.cell >= LAST_CELLS)
                child.block = n_blocks++, child.cell = 1;
            children[side] = n_known;
            waiting[n_known++] = child;
        }
        int64_t node[5] = {starts[k], children[0], children[1], one.block, one.cell};
        memcpy(nodes[i], node, sizeof node);
    }
    Py_END_ALLOW_THREADS
    release(&a);
    Py_RETURN_NONE;
}
