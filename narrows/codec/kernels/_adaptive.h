/* Adaptive binary range coding; fields/adaptive.py has the formulas. */

#include "_kernels.h"

#define MOST_COUNT 250
#define CERTAIN 32 /* the least probability, of 2^16 */

/* A range coder. An encoder counts the bytes that do not fit its buffer, and does not write them; a decoder reads zeros
   after the end of its bytes. */
typedef struct {
    uint64_t low;
    uint32_t range, code;
    int64_t at, pending, held, room;
    uint8_t *bytes;
} Coder;

enum { CODER_LOW, CODER_RANGE, CODER_CODE, CODER_AT, CODER_PENDING, CODER_HELD, N_CODER };

static inline Coder coder_from(const int64_t *state, uint8_t *bytes, size room)
{
    return (Coder){(uint64_t)state[CODER_LOW], (uint32_t)state[CODER_RANGE], (uint32_t)state[CODER_CODE],
                   state[CODER_AT], state[CODER_PENDING], state[CODER_HELD], room, bytes};
}

static inline void coder_store(const Coder *c, int64_t *state)
{
    state[CODER_LOW] = (int64_t)c->low, state[CODER_RANGE] = c->range, state[CODER_CODE] = c->code;
    state[CODER_AT] = c->at, state[CODER_PENDING] = c->pending, state[CODER_HELD] = c->held;
}

static inline void coder_put(Coder *c, uint8_t byte)
{
    if (c->at < c->room)
        c->bytes[c->at] = byte;
    c->at++;
}

/* Write the highest byte of low, or hold it back while a carry may still reach it. */
static inline void coder_shift(Coder *c)
{
    uint64_t carry = c->low >> 32;
    if (carry || c->low < 0xFF000000u) {
        coder_put(c, (uint8_t)(c->held + (int64_t)carry));
        for (; c->pending; c->pending--)
            coder_put(c, (uint8_t)(0xFF + carry));
        c->held = (int64_t)(c->low >> 24 & 0xFF);
    } else
        c->pending++;
    c->low = c->low << 8 & 0xFFFFFFFFu;
}

/* Code a bit that is 1 with the probability p / 2^16; return it. */
static inline int code_bit(Coder *c, const int is_decoding, uint32_t p, int bit)
{
    uint32_t bound = (c->range >> 16) * p;
    if (is_decoding)
        bit = c->code < bound;
    if (bit)
        c->range = bound;
    else {
        c->range -= bound;
        if (is_decoding)
            c->code -= bound;
        else
            c->low += bound;
    }
    while (c->range < 1u << 24) {
        c->range <<= 8;
        if (is_decoding) {
            c->code = c->code << 8 | (c->at < c->room ? c->bytes[c->at] : 0);
            c->at++;
        } else
            coder_shift(c);
    }
    return bit;
}

/* A state is a probability in 22 bits, and a count of bits below it in 10. */
static inline uint32_t state_p(uint32_t state) { return state >> 16; }

static inline void state_update(uint32_t *state, const int32_t *rates, int bit)
{
    uint32_t n = *state & 1023;
    int64_t p = *state >> 10;
    p += (((int64_t)bit << 22) - bit - p) * rates[n] >> 16;
    *state = (uint32_t)p << 10 | (n < MOST_COUNT ? n + 1 : n);
}

static inline uint32_t possible(uint32_t p) { return p < CERTAIN ? CERTAIN : p > 65536 - CERTAIN ? 65536 - CERTAIN : p; }

static inline int code_adaptive(Coder *c, const int is_decoding, uint32_t *state, const int32_t *rates, int bit)
{
    bit = code_bit(c, is_decoding, possible(state_p(*state)), bit);
    state_update(state, rates, bit);
    return bit;
}

/* As code_adaptive, with the mean probability of two states. */
static inline int code_averaged(Coder *c, const int is_decoding, uint32_t *one, uint32_t *two, const int32_t *rates,
                                int bit)
{
    bit = code_bit(c, is_decoding, possible((state_p(*one) + state_p(*two)) >> 1), bit);
    state_update(one, rates, bit);
    state_update(two, rates, bit);
    return bit;
}
