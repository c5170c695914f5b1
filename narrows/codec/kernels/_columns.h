/* Coding of rows of tables; columns/coder.py has the formulas. */

#include "_adaptive.h"

#define N_SLOT 8 /* of a bucket: its check, and 7 states */
#define MOST_CONTEXTS 12
#define MOST_INPUTS 32 /* 2 for each context, 1, and zeros */
#define N_SETS 3
#define N_LAST 4
#define N_MAP 512
#define N_BY_NODE 128
#define N_BY_KNOWN 128
#define N_BY_COUNTS 64
#define MOST_STRETCHED 2815
#define MOST_WEIGHT (1 << 19)
#define MOST_RATE (1 << 11)
#define ONE 256
#define EXCEPTION (80 << 16) /* about the bits of an exception, when they are measured */

#if defined(__GNUC__)
#define FETCH(address) __builtin_prefetch(address)
#else
#define FETCH(address) ((void)(address))
#endif

enum { ENCODE, DECODE, MEASURE };

/* A column of the plan, as it lies in the array of columns. */
typedef struct {
    int64_t mask, modulus, lowest, bias, shift, first_term, n_terms, first_context, n_contexts, first_node, n_nodes,
        first_leaf, first_edge, n_edges, start, of_maps, of_weights, of_last, is_active, rate, lookup, first_key, n_keys;
} Column;

typedef struct {
    int64_t column, lag, other, other_lag, factor;
} Term;

typedef struct {
    int64_t key, value;
} Key;

typedef struct {
    int64_t kind, column, lag, shift;
} Feature;

enum { VALUE, RESIDUAL, QUANTISED, PREDICTION, REMAINDER, OFFSET, N_KINDS };

typedef struct {
    int64_t first, n;
} Context;

typedef struct {
    int64_t split, left, right, block, cell; /* left and right: a node, or -1 - a leaf; of the column */
} Node;

typedef struct {
    int64_t start, width;
} Leaf;

#define N_FIELDS(type) ((size)(sizeof(type) / sizeof(int64_t)))
