/* The tables of a model of bytes, and the line so far; text/tables.py and text/line.py have the formulas. */

#include "_text.h"

static const int LENGTHS[2] = {6, 12};
static const int LEAST[2] = {4, 8};
#define MOST_VERIFIED 32
#define LONG_MATCH 16
#define MOST_MATCH 65535
#define MOST_MISSES 8

static void keep_bucket(Tables *t, uint32_t k)
{
    if (t->keeps || t->is_old[k])
        return;
    t->is_old[k] = 1;
    t->old_at[t->n_old] = k;
    memcpy(t->old_cells + N_CELLS * t->n_old++, t->cells + N_CELLS * (size)k, N_CELLS * sizeof *t->cells);
}

static uint32_t *bucket_of(Tables *t, uint64_t hash)
{
    uint32_t i = (uint32_t)hash & ((1u << t->bits) - 1), check = (uint32_t)(hash >> 32) | 1;
    uint32_t *one = t->cells + N_CELLS * (size)i, *two = t->cells + N_CELLS * (size)(i ^ 1);
    int is_first = *one == check, is_found = is_first || *two == check;
    if (!is_found)
        is_first = !*one || (*two && (one[1] >> 8 & 255) <= (two[1] >> 8 & 255));
    keep_bucket(t, is_first ? i : i ^ 1);
    uint32_t *bucket = is_first ? one : two;
    if (!is_found) {
        bucket[0] = check;
        for (int k = 1; k < N_CELLS; k++)
            bucket[k] = CELL_HALF;
    }
    return bucket;
}

static void want(Text *t, int i, uint64_t hash)
{
    const Tables *tables = &t->tables;
    size k = (size)(hash & ((1u << tables->bits) - 1));
    t->wanted[i] = hash;
    FETCH(tables->cells + N_CELLS * k);
    FETCH(tables->cells + N_CELLS * (k ^ 1));
    if (!tables->keeps)
        FETCH(tables->is_old + k);
}

void fetch_second(Text *t, unsigned partial)
{
    for (int i = 0; i < t->n_contexts; i++)
        want(t, i, mix(t->hashes[i], partial));
}

void set_buckets(Text *t)
{
    uint32_t twins = 0;
    for (int i = 0; i < t->n_contexts; i++)
        t->buckets[i] = (int32_t)(bucket_of(&t->tables, t->wanted[i]) - t->tables.cells);
    for (int back = 1; back < t->n_contexts; back++)
        for (int i = back; i < t->n_contexts; i++)
            twins |= t->buckets[i] == t->buckets[i - back];
    t->has_twins = twins != 0;
}

void revert(Tables *t)
{
    while (t->n_old) {
        uint32_t k = t->old_at[--t->n_old];
        memcpy(t->cells + N_CELLS * (size)k, t->old_cells + N_CELLS * t->n_old, N_CELLS * sizeof *t->cells);
        t->is_old[k] = 0;
    }
    while (t->n_old_heads) {
        const uint32_t *old = t->old_heads + 2 * --t->n_old_heads;
        t->heads[old[0]] = old[1];
        t->is_old_head[old[0]] = 0;
    }
}

static void set_head(Tables *t, size k, int64_t at)
{
    if (!t->keeps && !t->is_old_head[k]) {
        uint32_t *old = t->old_heads + 2 * t->n_old_heads++;
        old[0] = (uint32_t)k, old[1] = t->heads[k];
        t->is_old_head[k] = 1;
    }
    t->heads[k] = (uint32_t)at;
}

/* Return how many bytes before two positions agree, within the line and the line end before it. */
static int agreement(const Text *t, int64_t at)
{
    int64_t most = t->at - t->line.start + 1;
    int n = 0;
    most = most < MOST_VERIFIED ? most : MOST_VERIFIED;
    while (n < most && at > n && t->history[at - 1 - n] == t->history[t->at - 1 - n])
        n++;
    return n;
}

static uint64_t match_hash(const Text *t, int k)
{
    if (k == N_MATCHES - 1)
        return mix(t->line.skeleton, 99);
    uint64_t h = 77 + (uint64_t)k;
    for (int64_t i = t->at - 1; i >= t->at - LENGTHS[k] && i >= t->line.start - 1; i--)
        h = mix(h, t->history[i]);
    return h;
}

static void fetch_heads(Text *t)
{
    size n_heads = (size)1 << t->tables.head_bits;
    for (int k = 0; k < N_MATCHES; k++) {
        t->heads[k] = k * n_heads + (size)(match_hash(t, k) & (uint64_t)(n_heads - 1));
        FETCH(t->tables.heads + t->heads[k]);
    }
}

static void find_matches(Text *t)
{
    for (int k = 0; k < N_MATCHES; k++) {
        Match *m = &t->matches[k];
        int64_t at = t->tables.heads[t->heads[k]];
        if (at && k == N_MATCHES - 1 && m->length < 1)
            m->at = at, m->length = 1, m->misses -= m->misses > 0;
        else if (at && k < N_MATCHES - 1 && m->length < LONG_MATCH) {
            int n = agreement(t, at);
            if (n >= LEAST[k] && n > m->length)
                m->at = at, m->length = n, m->misses = 0;
        }
        set_head(&t->tables, t->heads[k], t->at);
    }
}

static void follow_matches(Text *t, int byte)
{
    for (int k = 0; k < N_MATCHES; k++) {
        Match *m = &t->matches[k];
        if (!m->at)
            continue;
        if (t->history[m->at++] == byte) {
            m->length += m->length < MOST_MATCH;
            m->misses -= m->misses > 0 && m->length % 16 == 0;
        } else {
            m->length = 0;
            if (++m->misses > MOST_MISSES)
                m->at = 0;
        }
    }
}

static void extend_line(Line *l, uint64_t c)
{
    int digit = is_digit(c), after_digit = is_digit(l->window & 255);
    l->window = l->window << 8 | c;
    if (digit || is_letter(c))
        l->word = mix(l->word, c + 1);
    else {
        if (l->word)
            l->word_2 = l->word_1, l->word_1 = l->word, l->word = 0;
        if (c == ':' || c == '=')
            l->key = l->word_1;
    }
    l->since = c == ':' || c == '=' ? 0 : l->since + 1;
    if (c == ' ' || c == ',' || c == '\t')
        l->n_fields++, l->field = 0, l->shape = 0;
    else
        l->field = mix(l->field, c + 1);
    if (!digit || !after_digit)
        l->skeleton = mix(l->skeleton, digit ? '0' : c);
    if (!digit)
        l->number = mix(l->skeleton, 1);
    else {
        if (!after_digit)
            l->number = mix(l->word_1, l->skeleton);
        l->number = mix(l->number, c);
    }
    l->shape = mix(l->shape, digit ? 1 : is_letter(c) ? 2 : c);
}

static void want_context(Text *t, int i, uint64_t context)
{
    t->hashes[i] = mix(context, (uint64_t)i << 32);
    want(t, i, t->hashes[i]);
}

static void want_contexts(Text *t)
{
    const Line *l = &t->line;
    uint64_t w = l->window, c = w & 255, mask = 0;
    for (int i = 0; i < 6; i++) {
        mask = mask << 8 | 255;
        want_context(t, i, w & mask);
    }
    want_context(t, 6, 0);
    want_context(t, 7, mix(l->word, l->word ? 0 : c));
    want_context(t, 8, mix(l->word, l->word_1));
    want_context(t, 9, mix(mix(l->word, l->word_1), l->word_2));
    want_context(t, 10, mix(l->field, (uint64_t)l->n_fields));
    want_context(t, 11, l->skeleton);
    want_context(t, 12, mix(mix(l->key, l->word), l->field));
    want_context(t, 13, mix(l->shape, l->word));
    want_context(t, 14, mix(l->number, c));
    want_context(t, 15, w & 0xFFFF00);
    if (t->n_contexts == N_CONTEXTS) {
        want_context(t, 18, mix(l->key, (uint64_t)l->since));
        want_context(t, 19, mix(l->key, w & 0xFFFF));
    }
}

static inline uint64_t following(const Text *t, int k)
{
    const Match *m = &t->matches[k];
    return m->length ? 256u | t->history[m->at] : 0;
}

static void want_contexts_of_matches(Text *t)
{
    want_context(t, 16, mix(following(t, 0), t->line.window & 255));
    want_context(t, 17, mix(following(t, 2), following(t, 1)));
}

void start_line(Text *t)
{
    memset(&t->line, 0, sizeof t->line);
    memset(t->matches, 0, sizeof t->matches);
    t->line.window = '\n';
    t->line.start = t->at;
    t->is_ended = 0;
    fetch_heads(t);
    want_contexts(t);
    find_matches(t);
    want_contexts_of_matches(t);
}

void append(Text *t, int byte)
{
    t->history[t->at++] = (uint8_t)byte;
    if (byte == '\n')
        return;
    extend_line(&t->line, (uint64_t)byte);
    fetch_heads(t);
    want_contexts(t);
}

void match(Text *t, int byte)
{
    t->is_ended = byte == '\n';
    if (t->is_ended)
        return;
    follow_matches(t, byte);
    find_matches(t);
    want_contexts_of_matches(t);
}
