/* The kernel of the model of bytes: the coding of records; text/model.py has the formulas. */

#include "_text.h"

static int code_byte(Text *t, int byte)
{
    unsigned partial = 1;
    Bit b;
    int32_t *count = t->learnt + OF_COUNT;
    int rate = 32 + 192 * 20000 / (20000 + *count);
    if (t->is_ended)
        start_line(t);
    memset(b.x, 0, sizeof b.x);
    b.x[HALF - 1] = ONE;
    b.n_contexts = t->n_contexts, b.n_sets = t->n_sets;
    for (int place = 0; place < 8; place++) {
        if (place % 4 == 0)
            set_buckets(t);
        int low = place % 4, cell = (int)(1u << low | (partial & ((1u << low) - 1))), bit = byte >> (7 - place) & 1;
        if (t->mode != INSERT)
            bit = code_bit(&t->coder, t->mode == DECODE, (uint32_t)predict_bit(t, &b, cell, partial, place), bit);
        partial = partial << 1 | (unsigned)bit;
        if (place == 3) /* memory is fetched while the model learns */
            fetch_second(t, partial);
        if (place == 7)
            append(t, partial & 255);
        if (t->mode != INSERT && t->learns)
            learn_bit(t, &b, bit, rate);
        update_cells(t, cell, bit);
    }
    if (t->learns && *count < 1 << 24)
        ++*count;
    match(t, partial & 255);
    return partial & 255;
}

/* Code whether a line end ends the record. */
static int code_end(Text *t, int is_end)
{
    uint32_t *state = (uint32_t *)t->learnt + OF_END;
    if (t->mode == INSERT)
        return is_end;
    is_end = code_bit(&t->coder, t->mode == DECODE, possible(state_p(*state)), is_end);
    if (t->learns)
        state_update(state, t->rates, is_end);
    return is_end;
}

/* The records of a call: bytes, and the end of each. */
typedef struct {
    uint8_t *bytes;
    int64_t *ends;
    size n_bytes, n, group;
} Records;

/* Code record i; return whether there was room for it. */
static int code_record(Text *t, const Records *r, size i)
{
    int64_t at = i ? r->ends[i - 1] : 0, end = t->mode == DECODE ? r->n_bytes : r->ends[i];
    int is_end = 0;
    while (!is_end) {
        if (t->at >= t->room)
            return 0;
        int byte = code_byte(t, t->mode == DECODE || at == end ? '\n' : r->bytes[at]);
        if (byte == '\n')
            is_end = code_end(t, at == end);
        if (t->mode != DECODE)
            at++;
        else if (!is_end) {
            if (at == end)
                return 0;
            r->bytes[at++] = (uint8_t)byte;
        }
    }
    if (t->mode == DECODE)
        r->ends[i] = at;
    return 1;
}

/* Write the bytes of an encoder, as few as possible: the value within its range that has the most zeros at its end. */
static void finish(Coder *c)
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
}

/* Start the coder of a session; `n` is the number of its bytes, or the room for them. */
static void start_coder(Text *t, uint8_t *bytes, size n)
{
    uint32_t code = 0;
    for (size k = 0; k < 4 && t->mode == DECODE; k++)
        code = code << 8 | (k < n ? bytes[k] : 0);
    t->coder = (Coder){0, 0xFFFFFFFFu, code, t->mode == DECODE ? 4 : 0, 0, 0, n, bytes};
}

/* End the bytes of a session, without the first, which is 0, and zeros at the end; return their number, or -1. */
static size end_coder(Coder *c)
{
    finish(c);
    if (c->at > c->room)
        return -1;
    memmove(c->bytes, c->bytes + 1, (size_t)--c->at);
    while (c->at && !c->bytes[c->at - 1])
        c->at--;
    return c->at;
}

/* Return the number of records coded; fewer than all if there was no room. coded_ends has the end of each session's
   bytes in `coded`. Without room for them, nothing is written. */
static size code_all(Text *t, const Records *r, uint8_t *coded, size room, int64_t *coded_ends, const int32_t *primed)
{
    int64_t base = t->at, from = 0;
    for (size i = 0, session = 0; i < r->n; session++) {
        start_coder(t, coded + from, (t->mode == DECODE ? coded_ends[session] : room) - from);
        t->is_ended = 1;
        size end = i + r->group < r->n ? i + r->group : r->n;
        int is_coded = 1;
        while (i < end && (is_coded = code_record(t, r, i)))
            i++;
        if (!t->tables.keeps) {
            revert(&t->tables);
            t->at = base;
            if (primed)
                memcpy(t->learnt, primed, N_LEARNT * sizeof *primed);
        }
        if (!is_coded)
            return i;
        if (t->mode == ENCODE && room) {
            size n = end_coder(&t->coder);
            if (n < 0)
                return i - 1;
            coded_ends[session] = from + n;
        }
        from = room ? coded_ends[session] : 0;
    }
    return r->n;
}

/* text_records(cells, is_old, old_at, old_cells, heads, is_old_head, old_heads, learnt, primed, history, stretch, squash,
   rates, records, ends, coded, coded_ends, (mode, at, group, learns, keeps, contexts, sets)) -> number of records coded. */
PyObject *text_records(PyObject *module, PyObject *args)
{
    Arguments a = {.function = "text_records", .args = args};
    Text t = {0};
    Records r;
    size n[17];
    int64_t settings[7];
    t.tables.cells = array(&a, "cells", UINT32S, WRITTEN, n);
    t.tables.is_old = array(&a, "is_old", UINT8S, WRITTEN, n + 1);
    t.tables.old_at = array(&a, "old_at", UINT32S, WRITTEN, n + 2);
    t.tables.old_cells = array(&a, "old_cells", UINT32S, WRITTEN, n + 3);
    t.tables.heads = array(&a, "heads", UINT32S, WRITTEN, n + 4);
    t.tables.is_old_head = array(&a, "is_old_head", UINT8S, WRITTEN, n + 5);
    t.tables.old_heads = array(&a, "old_heads", UINT32S, WRITTEN, n + 6);
    t.learnt = array(&a, "learnt", INT32S, WRITTEN, n + 7);
    const int32_t *primed = array(&a, "primed", INT32S, READ, n + 8);
    t.history = array(&a, "history", UINT8S, WRITTEN, n + 9);
    const int16_t *stretch = array(&a, "stretch", INT16S, READ, n + 10);
    t.squash = array(&a, "squash", UINT16S, READ, n + 11);
    t.rates = array(&a, "rates", INT32S, READ, n + 12);
    r.bytes = array(&a, "records", UINT8S, WRITTEN, &r.n_bytes);
    r.ends = array(&a, "ends", INT64S, WRITTEN, &r.n);
    uint8_t *coded = array(&a, "coded", UINT8S, WRITTEN, n + 13);
    int64_t *coded_ends = array(&a, "coded_ends", INT64S, WRITTEN, n + 14);
    integers(&a, "settings", settings, 7);
    (void)module;
    if (!is_complete(&a))
        return NULL;
    t.mode = (int)settings[0], t.at = settings[1], t.room = n[9], r.group = settings[2];
    t.learns = settings[3] != 0, t.tables.keeps = settings[4] != 0, t.n_contexts = (int)settings[5];
    t.n_sets = (int)settings[6];
    while (n[1] > (size)1 << t.tables.bits && t.tables.bits < MOST_BITS)
        t.tables.bits++;
    while (n[5] > N_MATCHES * (size)1 << t.tables.head_bits && t.tables.head_bits < 30)
        t.tables.head_bits++;
    int wrong = t.tables.bits < 1 || n[1] != (size)1 << t.tables.bits || n[0] != N_CELLS * n[1] || n[2] != n[1] ||
                n[3] != n[0] || n[5] != N_MATCHES * (size)1 << t.tables.head_bits || n[4] != n[5] ||
                n[6] != 2 * n[5] || n[7] != N_LEARNT || (n[8] && n[8] != N_LEARNT) || n[9] >= UINT32_MAX ||
                n[10] != N_STRETCH || n[11] != 2 * MOST_STRETCHED + 1 || n[12] != MOST_COUNT + 1 || t.mode < ENCODE ||
                t.mode > INSERT || t.at < 1 || t.at > t.room || r.group < 1 || t.learnt[OF_COUNT] < 0 ||
                t.n_sets < 1 || t.n_sets > N_SETS || t.n_contexts < 1 ||
                t.n_contexts > N_CONTEXTS;
    size n_sessions = wrong ? 0 : (r.n + r.group - 1) / r.group;
    wrong = wrong || n[14] != n_sessions;
    for (size i = 0; i < r.n && !wrong && t.mode != DECODE; i++)
        wrong = r.ends[i] < (i ? r.ends[i - 1] : 0) || r.ends[i] > r.n_bytes;
    for (size i = 0; i < n_sessions && !wrong && t.mode == DECODE; i++)
        wrong = coded_ends[i] < (i ? coded_ends[i - 1] : 0) || coded_ends[i] > n[13];
    if (wrong)
        return refuse(&a, "inconsistent sizes");
    for (int k = 0; k < N_STRETCH; k++)
        t.stretch[k] = stretch[k];
    size n_coded;
    Py_BEGIN_ALLOW_THREADS
    n_coded = code_all(&t, &r, coded, n[13], coded_ends, n[8] ? primed : NULL);
    Py_END_ALLOW_THREADS
    release(&a);
    return PyLong_FromSsize_t(n_coded);
}
