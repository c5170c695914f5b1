/* The kernel of bisection: values are coded decision by decision; fields/bisection.py has the formulas. */

#include "_adaptive.h"

#define N_EXPERTS 3
#define N_CONTEXTS 4
#define N_INPUTS 8
#define MOST_LAGS 32
#define MOST_BASE ((int64_t)1 << 44)
#define ONE ((int64_t)1 << 30)
#define N_TAILS (20 * 64 + 1)
#define N_LOGITS 4096
#define MOST_LOGIT 3071
#define MOST_SEEN 63
#define MOST_WEIGHT (1 << 22)
#define LEAST 8
#define FEWEST 65536
#define SLOPE 363332

enum { EVEN, LEVELS, DIGITS };
enum { NUMBERING, N_VALUES, OFFSET, FACTOR, MODULUS, N_DIGITS, LEVEL, PERIOD, SLOT_BITS, N_OF_SETTINGS };

/* The values that can occur. */
typedef struct {
    int64_t numbering, n, offset, factor, modulus, top, decade;
    const int64_t *levels;
} Form;

/* A logistic distribution, and the interval of it that is left. */
typedef struct {
    int64_t centre, slope, cap, low, high;
    int shift;
} Expert;

typedef struct {
    Form form;
    int is_decoding, has_contexts, slot_bits;
    int64_t level, period, low, high, shift;
    const int64_t *lags, *weights, *bases;
    size n_lags, n_bases;
    const int32_t *tails, *sigmoid, *rates;
    const int16_t *logits;
    int64_t *values, *spreads;
    uint32_t *slots;
    int32_t *by_place, *by_depth;
    Coder coder;
} Run;

/* What is known of the value that is being coded. */
typedef struct {
    Expert experts[N_EXPERTS];
    uint64_t keys[N_CONTEXTS];
    int64_t span[2], first;
    int depth, stage;
} Value;

static inline int bits_of(uint64_t a)
{
#if defined(__GNUC__)
    return a ? 64 - __builtin_clzll(a) : 0;
#else
    int bits = 0;
    for (; a; a >>= 1)
        bits++;
    return bits;
#endif
}

static inline int64_t magnitude(int64_t a) { return a < 0 ? -a : a; }

static inline uint64_t mix(uint64_t key, int64_t value)
{
    uint64_t mixed = (key ^ (uint64_t)value) * 0x9E3779B97F4A7C15u;
    return mixed ^ mixed >> 32;
}

static inline int64_t value_of(const Form *f, int64_t i)
{
    if (f->numbering == LEVELS)
        return f->levels[i];
    if (f->numbering == EVEN)
        return f->offset + f->factor * i;
    int64_t number = f->offset + i, a = magnitude(number);
    if (a > f->top) {
        int64_t decades = (a - f->top) / f->decade, rest = (a - f->top) % f->decade;
        for (a = f->top + 10 * rest; decades > 0; decades--)
            a *= 10;
    }
    return number < 0 ? -a : a;
}

static inline void start_expert(Expert *e, int64_t centre, int64_t spread)
{
    int bits = bits_of((uint64_t)spread);
    e->centre = 2 * centre, e->shift = bits > 24 ? bits - 24 : 0;
    int64_t brief = spread >> e->shift;
    e->slope = ((int64_t)SLOPE << 28) / brief, e->cap = 9 * brief / 10, e->low = 0, e->high = ONE;
}

static inline int64_t below(const Expert *e, int64_t edge, const int32_t *tails)
{
    int64_t distance = magnitude(edge - e->centre) >> e->shift, tail = tails[N_TAILS - 1];
    if (distance < e->cap) {
        int64_t along = distance * e->slope >> 20, first = tails[along >> 16];
        tail = first + ((tails[(along >> 16) + 1] - first) * (along & 0xFFFF) >> 16);
    }
    return clip(edge > e->centre ? ONE - tail : tail, e->low, e->high);
}

/* Code a decision with the mixed probability, and update the weights. */
static inline int mixed(Run *r, const Value *v, int64_t edge, const int32_t *inputs, int seen, int bit)
{
    const Expert *e = v->experts;
    int spread = bits_of((uint64_t)r->spreads[0]);
    int64_t wide = bits_of(16 * (uint64_t)(v->span[1] - v->span[0])) - spread + 8;
    int64_t place = clip(bits_of(16 * (uint64_t)magnitude(edge - e->centre)) - spread + 3, 0, 7);
    int64_t depth = 32 * v->stage + (v->depth < 31 ? v->depth : 31);
    int32_t *rows[2] = {r->by_place + N_INPUTS * (16 * clip(wide, 0, 31) + 2 * place + (edge > e->centre)),
                        r->by_depth + N_INPUTS * (16 * depth + seen)};
    int64_t logits[2];
    for (int k = 0; k < 2; k++) {
        int64_t sum = 0;
        for (int i = 0; i < N_INPUTS; i++)
            sum += (int64_t)rows[k][i] * inputs[i];
        logits[k] = clip(sum >> 16, -MOST_LOGIT, MOST_LOGIT);
    }
    int64_t p = r->sigmoid[((logits[0] + logits[1]) >> 1) + MOST_LOGIT + 1];
    bit = code_bit(&r->coder, r->is_decoding, (uint32_t)clip(p, LEAST, 65536 - LEAST), bit);
    for (int k = 0; k < 2; k++) {
        int64_t error = ((int64_t)bit << 16) - r->sigmoid[logits[k] + MOST_LOGIT + 1];
        for (int i = 0; i < N_INPUTS; i++)
            rows[k][i] = (int32_t)clip(rows[k][i] + ((inputs[i] * error + 8192) >> 14), -MOST_WEIGHT, MOST_WEIGHT);
    }
    return bit;
}

static int decide(Run *r, Value *v, int64_t middle, int bit)
{
    static const int32_t shares[3] = {0, 12, 16};
    int64_t edge = value_of(&r->form, middle - 1) + value_of(&r->form, middle), sides[N_EXPERTS];
    int32_t inputs[N_INPUTS] = {0}, any = 0;
    for (int j = 0; j < N_EXPERTS; j++) {
        Expert *e = v->experts + j;
        int64_t whole = e->high - e->low;
        sides[j] = below(e, edge, r->tails);
        if (whole >= FEWEST)
            any |= inputs[j] = r->logits[(e->high - sides[j]) * 4095 / whole];
    }
    uint32_t *slots[N_CONTEXTS];
    int seen = 0;
    for (int c = 0; c < N_CONTEXTS && r->has_contexts; c++) {
        uint64_t key = mix(v->keys[c], (int64_t)((uint64_t)(middle - v->first) << 1 | (uint64_t)v->stage));
        uint32_t check = (uint32_t)(key >> 54);
        uint32_t *s = slots[c] = r->slots + ((size)c << r->slot_bits) + (size)(key & (((uint64_t)1 << r->slot_bits) - 1));
        if ((*s & 1023) != check)
            *s = (uint32_t)1 << 31 | check;
        int n = (int)(*s >> 10 & 63);
        int32_t logit = r->logits[*s >> 20];
        any |= inputs[N_EXPERTS + c] = n > 2 ? logit : logit * shares[n] >> 4;
        seen |= (n > 2) << c;
    }
    inputs[N_INPUTS - 1] = 256;
    bit = any ? mixed(r, v, edge, inputs, seen, bit) : code_bit(&r->coder, r->is_decoding, 32768, bit);
    for (int c = 0; c < N_CONTEXTS && r->has_contexts; c++) {
        uint32_t s = *slots[c], n = s >> 10 & 63;
        int64_t p = s >> 16;
        p += (((bit ? 65535 : 0) - p) * r->rates[n]) >> 16;
        *slots[c] = (uint32_t)p << 16 | (n < MOST_SEEN ? n + 1 : n) << 10 | (s & 1023);
    }
    for (int j = 0; j < N_EXPERTS; j++)
        *(bit ? &v->experts[j].low : &v->experts[j].high) = sides[j];
    v->span[!bit] = edge;
    v->depth++;
    return bit;
}

/* Return the number among at + step · i, i = 0 … n - 1, that is coded. */
static int64_t halve(Run *r, Value *v, int64_t number, int64_t at, int64_t step, int64_t n)
{
    for (int64_t half = ((int64_t)1 << bits_of((uint64_t)n - 1)) >> 1, left = n; half; half >>= 1)
        if (half < left) {
            int64_t middle = at + half * step;
            if (decide(r, v, middle, number >= middle))
                at = middle, left -= half;
            else
                left = half;
        }
    return at;
}

static int64_t digits_of(int64_t value)
{
    int64_t n = 0;
    for (value = magnitude(value); value; value /= 10)
        n++;
    return n;
}

static inline uint64_t key_of(int64_t first, int64_t value) { return mix(mix(0, first + 1), value); }

/* The linear prediction of value t: of its difference from its base by those of values before it. */
static int64_t predicted(const Run *r, size t)
{
    const int64_t *y = r->values, *base = r->bases;
    int64_t has = r->n_bases > 0, one = t ? y[t - 1] - (has ? base[t - 1] : 0) : r->level, total = 0;
    for (size k = 0; k < r->n_lags; k++) {
        int64_t lag = r->lags[k];
        int64_t x = lag == 0 ? r->level : lag <= t ? y[t - lag] - (has ? base[t - lag] : 0) : one;
        total += r->weights[k] * ((x - one) >> r->shift);
    }
    return one + (int64_t)((uint64_t)((total + 32768) >> 16) << r->shift) + (has ? base[t] : 0);
}

static int64_t code_number(Run *r, size t, int64_t number)
{
    const int64_t *y = r->values;
    int64_t one = t ? y[t - 1] : r->level, two = t > 1 ? y[t - 2] : one, three = t > 2 ? y[t - 3] : two;
    int64_t past = r->period > 0 && r->period <= t ? y[t - r->period] : two;
    Value v = {.keys = {key_of(0, 0), mix(key_of(1, one), two), key_of(2, past), mix(mix(key_of(3, one), two), three)},
               .span = {2 * r->low, 2 * r->high}};
    int64_t centres[N_EXPERTS] = {clip(predicted(r, t), r->low, r->high), one, past};
    for (int j = 0; j < N_EXPERTS; j++)
        start_expert(v.experts + j, centres[j], r->spreads[j]);
    int64_t modulus = r->form.modulus, n = r->form.n;
    int64_t at = halve(r, &v, number, 0, modulus, (n - 1) / modulus + 1);
    if (modulus > 1) {
        v.stage = 1, v.first = at;
        v.keys[0] = key_of(4, digits_of(value_of(&r->form, at))), v.keys[1] = key_of(5, 0);
        v.keys[2] = key_of(6, at), v.keys[3] = mix(key_of(7, at), one);
        at = halve(r, &v, number, at, 1, modulus < n - at ? modulus : n - at);
    }
    int64_t value = r->values[t] = value_of(&r->form, at);
    int shift = bits_of((uint64_t)t + 1);
    for (int j = 0; j < N_EXPERTS; j++) {
        int64_t error = 16 * magnitude(2 * value - v.experts[j].centre), spread = r->spreads[j];
        spread += (error - spread) >> (shift < 4 ? shift : 4);
        r->spreads[j] = spread < 8 ? 8 : spread;
    }
    return at;
}

static int take_form(Form *f, const int64_t *settings, const int64_t *levels, size n_levels)
{
    const int64_t most = (int64_t)1 << 54;
    *f = (Form){settings[NUMBERING], settings[N_VALUES], settings[OFFSET], settings[FACTOR], settings[MODULUS],
                1, 1, levels};
    if (f->n < 1 || f->n > most || f->modulus < 1 || f->modulus > most || magnitude(f->offset) > 2 * most)
        return 0;
    if (f->numbering == EVEN)
        return f->factor >= 1 && f->factor <= 2 * most / f->n;
    if (f->numbering == LEVELS)
        return n_levels == f->n;
    if (f->numbering != DIGITS || settings[N_DIGITS] < 1 || settings[N_DIGITS] > 16)
        return 0;
    for (int64_t k = 0; k < settings[N_DIGITS]; k++)
        f->decade = f->top, f->top *= 10;
    f->decade *= 9;
    return 1;
}

/* bisect(is_decoding, has_contexts, settings, levels, lags, weights, bases, numbers, values, slots, by_place, by_depth,
          spreads, tails, logits, sigmoid, rates, coder, bytes)
   codes the numbers of all values; a decoder writes them. */
PyObject *bisect(PyObject *module, PyObject *args)
{
    Arguments a = {.function = "bisect", .args = args};
    Run r = {0};
    int64_t settings[N_OF_SETTINGS];
    size n_levels, n_weights, n, n_values, n_slots, n_place, n_depth, n_spreads, n_tails, n_logits, n_sigmoid, n_rates;
    size n_coder, n_bytes;
    r.is_decoding = (int)integer(&a, "is_decoding"), r.has_contexts = (int)integer(&a, "has_contexts");
    integers(&a, "settings", settings, N_OF_SETTINGS);
    const int64_t *levels = array(&a, "levels", INT64S, READ, &n_levels);
    r.lags = array(&a, "lags", INT64S, READ, &r.n_lags);
    r.weights = array(&a, "weights", INT64S, READ, &n_weights);
    r.bases = array(&a, "bases", INT64S, READ, &r.n_bases);
    int64_t *numbers = array(&a, "numbers", INT64S, WRITTEN, &n);
    r.values = array(&a, "values", INT64S, WRITTEN, &n_values);
    r.slots = array(&a, "slots", UINT32S, WRITTEN, &n_slots);
    r.by_place = array(&a, "by_place", INT32S, WRITTEN, &n_place);
    r.by_depth = array(&a, "by_depth", INT32S, WRITTEN, &n_depth);
    r.spreads = array(&a, "spreads", INT64S, WRITTEN, &n_spreads);
    r.tails = array(&a, "tails", INT32S, READ, &n_tails);
    r.logits = array(&a, "logits", INT16S, READ, &n_logits);
    r.sigmoid = array(&a, "sigmoid", INT32S, READ, &n_sigmoid);
    r.rates = array(&a, "rates", INT32S, READ, &n_rates);
    int64_t *state = array(&a, "coder", INT64S, WRITTEN, &n_coder);
    uint8_t *bytes = array(&a, "bytes", UINT8S, r.is_decoding ? READ : WRITTEN, &n_bytes);
    (void)module;
    if (!is_complete(&a))
        return NULL;
    r.slot_bits = (int)settings[SLOT_BITS], r.level = settings[LEVEL], r.period = settings[PERIOD];
    int wrong = !take_form(&r.form, settings, levels, n_levels) || n_values != n || n_weights != r.n_lags ||
                r.n_lags > MOST_LAGS || r.slot_bits < 1 || r.slot_bits > 24 || n_place != 512 * N_INPUTS ||
                (r.has_contexts && n_slots != (size)N_CONTEXTS << r.slot_bits) || n_depth != 1024 * N_INPUTS ||
                n_spreads != N_EXPERTS || n_tails != N_TAILS || n_logits != N_LOGITS ||
                n_sigmoid != 2 * MOST_LOGIT + 3 || n_rates != MOST_SEEN + 1 || n_coder != N_CODER || r.period < 0;
    for (size k = 0; k < r.n_lags && !wrong; k++)
        wrong = r.lags[k] < 0;
    wrong = wrong || (r.n_bases && r.n_bases != n);
    int64_t lowest = 0, highest = 0;
    for (size t = 0; t < r.n_bases && !wrong; t++) {
        lowest = r.bases[t] < lowest ? r.bases[t] : lowest, highest = r.bases[t] > highest ? r.bases[t] : highest;
        wrong = lowest < -MOST_BASE || highest > MOST_BASE;
    }
    for (size j = 0; j < n_spreads && !wrong; j++)
        wrong = r.spreads[j] < 8;
    if (wrong)
        return refuse(&a, "inconsistent sizes");
    r.low = value_of(&r.form, 0), r.high = value_of(&r.form, r.form.n - 1);
    int bits = bits_of((uint64_t)(r.high - r.low + highest - lowest));
    r.shift = bits > 38 ? bits - 38 : 0;
    Py_BEGIN_ALLOW_THREADS
    r.coder = coder_from(state, bytes, n_bytes);
    for (size t = 0; t < n; t++)
        numbers[t] = code_number(&r, t, r.is_decoding ? 0 : numbers[t]);
    coder_store(&r.coder, state);
    Py_END_ALLOW_THREADS
    release(&a);
    Py_RETURN_NONE;
}
