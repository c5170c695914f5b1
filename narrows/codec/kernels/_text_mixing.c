/* Mixing of the predictions of contexts and matches; text/mixer.py has the formulas. */

#include "_text.h"

FOR_EVERY_CPU
static void dot(Bit *b)
{
    for (int k = 0; k < b->n_sets; k++) {
        const int32_t *w = b->rows[k];
        int32_t sum = 0;
        for (int i = 0; i < N_INPUTS; i++)
            sum += b->x[i] * w[i] >> 8;
        b->outputs[k] = sum >> 8;
    }
}

FOR_EVERY_CPU
static void adjust(Bit *b)
{
    for (int k = 0; k < b->n_sets; k++) {
        int32_t *w = b->rows[k], e = b->errors[k];
        for (int i = 0; i < N_INPUTS; i++) {
            int32_t next = w[i] + ((b->x[i] * e + (1 << 15)) >> 16);
            w[i] = next < -MOST_WEIGHT ? -MOST_WEIGHT : next > MOST_WEIGHT ? MOST_WEIGHT : next;
        }
    }
}

/* Return d · rate / 2^16, rounded down, without numbers of more than 32 bits; d has at most 23 bits. */
static inline int32_t portion(int32_t d, int32_t rate)
{
    return (d * (rate >> 8) + (d * (rate & 255) >> 8)) >> 8;
}

FOR_EVERY_CPU
static void predict_by_contexts(const Text *t, Bit *restrict b, int cell)
{
    const int32_t *restrict cells = (const int32_t *)t->tables.cells + cell, *restrict learnt = t->learnt;
    const int32_t *restrict stretch = t->stretch, *restrict buckets = t->buckets;
    int n_known = 0;
    for (int i = 0; i < t->n_contexts; i++) {
        int32_t state = cells[buckets[i]];
        int n = state >> 8 & 255, class = (n >= 8) + (n >= 20) + (n >= MOST_CELL_COUNT), known = -(n > 0);
        int map = OF_MAPS + i * N_MAP + class * 256 + (state & 255);
        b->cells[i] = state;
        b->maps[i] = map;
        b->x[i] = stretch[state >> 20 & 4095] & known;
        b->x[HALF + i] = stretch[learnt[map] >> 20 & 4095] & known;
        n_known -= known;
    }
    b->n_known = n_known;
}

FOR_EVERY_CPU
static void learn_maps(const Text *t, const Bit *restrict b, int bit)
{
    int32_t *restrict learnt = t->learnt;
    const int32_t *restrict rates = t->rates;
    int32_t states[N_CONTEXTS];
    for (int i = 0; i < t->n_contexts; i++) {
        int32_t state = learnt[b->maps[i]], n = state & 1023, p = state >> 10 & ((1 << 22) - 1);
        p += portion((bit << 22) - bit - p, rates[n]);
        states[i] = b->cells[i] & 0xFF00 ? p << 10 | (n < MOST_COUNT ? n + 1 : n) : state;
    }
    for (int i = 0; i < t->n_contexts; i++)
        learnt[b->maps[i]] = states[i];
}

static inline int32_t updated_cell(int32_t cell, const int32_t *rates, int bit)
{
    int32_t n = cell >> 8 & 255, h = (cell & 255) << 1 | bit, p = cell >> 16 & 0xFFFF;
    p += portion((bit << 16) - bit - p, rates[n]);
    h = h < 128 ? h : 64 | (h & 63);
    return p << 16 | (n < MOST_CELL_COUNT ? n + 1 : n) << 8 | h;
}

FOR_EVERY_CPU
static void update_all(const Text *t, int32_t *restrict cells, int bit)
{
    const int32_t *restrict rates = t->rates, *restrict buckets = t->buckets;
    int32_t states[N_CONTEXTS];
    for (int i = 0; i < t->n_contexts; i++)
        states[i] = updated_cell(cells[buckets[i]], rates, bit);
    for (int i = 0; i < t->n_contexts; i++)
        cells[buckets[i]] = states[i];
}

void update_cells(const Text *t, int cell, int bit)
{
    int32_t *cells = (int32_t *)t->tables.cells + cell;
    if (!t->has_twins)
        update_all(t, cells, bit);
    else
        for (int i = 0; i < t->n_contexts; i++)
            cells[t->buckets[i]] = updated_cell(cells[t->buckets[i]], t->rates, bit);
}

static void predict_by_matches(const Text *t, Bit *b, unsigned partial, int place)
{
    static const int BOUNDS[7] = {1, 4, 8, 12, 16, 24, 32};
    uint32_t *hits = (uint32_t *)t->learnt + OF_HITS;
    for (int k = 0; k < N_MATCHES; k++) {
        const Match *m = &t->matches[k];
        int32_t *x = b->x + N_CONTEXTS + k;
        unsigned byte = m->at ? 256u | t->history[m->at] : 0;
        b->hits[k] = NULL, x[0] = x[HALF] = 0;
        if (byte >> (8 - place) != partial)
            continue;
        int length = 0, sign = (b->expected[k] = byte >> (7 - place) & 1) ? 1 : -1;
        while (length < 7 && m->length >= BOUNDS[length])
            length++;
        b->hits[k] = hits + k * N_HITS + length * 8 + (m->misses < 7 ? m->misses : 7);
        int32_t sure = t->stretch[*b->hits[k] >> 20];
        x[0] = sign * sure, x[HALF] = sure > 0 ? sign * ONE : 0;
    }
}

static int class_of(uint64_t c) { return c == '\n' ? 0 : is_digit(c) ? 1 : is_letter(c) ? 2 : c == ' ' ? 3 : 4; }

static int match_class(const Text *t, const Bit *b)
{
    static const int BOUNDS[7] = {1, 4, 8, 12, 16, 24, 32};
    int first = 0, second = 0, third = 0, agree = 0, length = t->matches[0].length;
    if (b->hits[0])
        first = 1 + (length > 15) + (length > 31);
    if (b->hits[1]) {
        second = 1;
        while (second < 8 && t->matches[1].length >= BOUNDS[second - 1])
            second++;
    }
    if (b->hits[2])
        third = 1 + (t->matches[2].misses < 1);
    if (b->hits[0] && b->hits[2])
        agree = b->expected[0] == b->expected[2] ? 1 : 2;
    return ((second * 4 + first) * 3 + third) * 3 + agree;
}

static void choose_rows(const Text *t, Bit *b, unsigned partial, int place)
{
    uint64_t w = t->line.window;
    int shape = (class_of(w & 255) * 5 + class_of(w >> 8 & 255)) * 5 + class_of(w >> 16 & 255);
    int rows[N_SETS] = {BY_PARTIAL + (int)partial, BY_BYTE + (int)(w & 255), BY_MATCH + match_class(t, b),
                        BY_KNOWN + b->n_known * 8 + place, BY_SHAPE + shape * 8 + place,
                        BY_KEY + (int)(t->line.key & 63) * 8 + place};
    for (int k = 0; k < b->n_sets; k++)
        b->rows[k] = t->learnt + OF_WEIGHTS + rows[k] * N_INPUTS;
    b->last = t->learnt + OF_LAST + partial * N_LAST;
}

static inline int limited(int64_t x)
{
    return x < -MOST_STRETCHED ? -MOST_STRETCHED : x > MOST_STRETCHED ? MOST_STRETCHED : (int)x;
}

static inline int squashed(const Text *t, int x) { return t->squash[x + MOST_STRETCHED]; }

int predict_bit(const Text *t, Bit *b, int cell, unsigned partial, int place)
{
    predict_by_contexts(t, b, cell);
    predict_by_matches(t, b, partial, place);
    choose_rows(t, b, partial, place);
    dot(b);
    int64_t sum = 0;
    for (int k = 0; k < b->n_sets; k++) {
        b->outputs[k] = limited(b->outputs[k]);
        sum += (int64_t)b->outputs[k] * b->last[k];
    }
    return squashed(t, b->output = limited(sum >> 16));
}

void learn_bit(const Text *t, Bit *b, int bit, int rate)
{
    int32_t target = bit << 16, error = target - squashed(t, b->output);
    learn_maps(t, b, bit);
    for (int k = 0; k < N_MATCHES; k++)
        if (b->hits[k])
            state_update(b->hits[k], t->rates, b->expected[k] == bit);
    for (int k = 0; k < b->n_sets; k++) {
        b->errors[k] = (target - squashed(t, b->outputs[k])) * rate >> 8;
        b->last[k] += ((int64_t)b->outputs[k] * error * 2 + (1 << 19)) >> 20;
    }
    adjust(b);
}
