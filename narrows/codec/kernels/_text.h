/* Mixing of predictions of bytes; text/model.py has the formulas. */

#include "_adaptive.h"

#define N_CONTEXTS 20 /* the first models have 18 */
#define N_MATCHES 3
#define N_SETS 6 /* the first models have 5 */
#define N_INPUTS 48 /* 2 for each context and match, 1, and 0 */
#define HALF (N_INPUTS / 2)
#define N_CELLS 16  /* of a bucket: its check, and 15 states */
#define MOST_BITS 27 /* of the number of buckets: places of cells have 32 bits with a sign */
#define N_MAP 1024
#define N_HITS 64
#define N_LAST 8 /* for each partial byte: N_SETS weights, and more that are not used */

#define CELL_HALF 0x80000001u
#define MOST_CELL_COUNT 250
#define MOST_STRETCHED 2815
#define MOST_WEIGHT (1 << 19)
#define ONE 256
#define N_STRETCH 4096

#if defined(__GNUC__)
#define FETCH(address) __builtin_prefetch(address)
#else
#define FETCH(address) ((void)(address))
#endif

/* The first rows of the sets of weights. */
enum { BY_PARTIAL = 0, BY_BYTE = 256, BY_MATCH = 512, BY_KNOWN = 836, BY_SHAPE = 1004, BY_KEY = 2004, N_ROWS = 2516 };

/* Offsets into what is learnt. */
enum {
    OF_COUNT = 0,
    OF_END = 1,
    OF_MAPS = 16,
    OF_HITS = OF_MAPS + N_CONTEXTS * N_MAP,
    OF_WEIGHTS = OF_HITS + N_MATCHES * N_HITS,
    OF_LAST = OF_WEIGHTS + N_ROWS * N_INPUTS,
    N_LEARNT = OF_LAST + 256 * N_LAST
};

enum { ENCODE, DECODE, INSERT };

/* The line so far. Hashes of nothing are 0. */
typedef struct {
    uint64_t window, word, word_1, word_2, field, skeleton, key, shape, number;
    int64_t n_fields, since, start;
} Line;

/* Where the text went on after what resembles the end of the text so far; 0: nowhere. */
typedef struct {
    int64_t at;
    int length, misses;
} Match;

/* Tables that are reverted after a session: old values are kept at the first change. */
typedef struct {
    uint32_t *cells, *old_at, *old_cells, *heads, *old_heads;
    uint8_t *is_old, *is_old_head;
    int bits, head_bits, keeps;
    size n_old, n_old_heads;
} Tables;

typedef struct {
    Tables tables;
    int32_t *learnt, stretch[N_STRETCH];
    const uint16_t *squash;
    const int32_t *rates;
    uint8_t *history;
    int64_t at, room;
    int mode, learns, n_contexts, n_sets, is_ended; /* is_ended: the next byte starts a line */
    Line line;
    Match matches[N_MATCHES];
    size heads[N_MATCHES]; /* those of the end of the text so far */
    Coder coder;
    uint64_t hashes[N_CONTEXTS], wanted[N_CONTEXTS]; /* of contexts, and of the buckets to be set next */
    int32_t buckets[N_CONTEXTS];                    /* their places in the cells */
    int has_twins;                                   /* whether two contexts have the same bucket */
} Text;

/* The prediction of a bit: where it came from, for learning. */
typedef struct {
    int32_t x[N_INPUTS], *rows[N_SETS], *last, outputs[N_SETS], errors[N_SETS];
    uint32_t *hits[N_MATCHES];
    int32_t cells[N_CONTEXTS], maps[N_CONTEXTS];
    int expected[N_MATCHES], n_known, n_contexts, n_sets, output;
} Bit;

static inline uint64_t mix(uint64_t a, uint64_t b)
{
    uint64_t x = (a + b + 0x9E3779B97F4A7C15u) * 0xD6E8FEB86659FD93u;
    return x ^ x >> 32;
}

static inline int is_digit(uint64_t c) { return c >= '0' && c <= '9'; }

static inline int is_letter(uint64_t c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c >= 128; }

/* Start a line. */
void start_line(Text *t);
/* Add a byte to the text and the line, and fetch what the next byte needs. */
void append(Text *t, int byte);
/* Go on with the matches, unless the line has ended, and look for better ones. */
void match(Text *t, int byte);
/* Fetch the buckets of the last four bits, given 1 followed by the first four. */
void fetch_second(Text *t, unsigned partial);
/* Set the buckets that were fetched. */
void set_buckets(Text *t);
/* Undo all changes of the tables since the last call. */
void revert(Tables *tables);
/* Return the probability of a 1 in 16 bits; `cell` is that of the partial byte, of which `place` bits are known. */
int predict_bit(const Text *t, Bit *b, int cell, unsigned partial, int place);
/* Learn maps, hits and weights from a bit that was predicted. */
void learn_bit(const Text *t, Bit *b, int bit, int rate);
/* Update the cells of all contexts by a bit. */
void update_cells(const Text *t, int cell, int bit);
