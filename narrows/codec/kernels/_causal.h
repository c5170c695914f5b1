/* Networks of the kernels of causal prediction; residual/causal.py has the formulas. */

#include "_mixture.h"

#define TILE 8   /* records that are processed together */
#define LANES 16 /* the numbers of outputs are multiples of it; the largest number of components */
#define TOGETHER 8 /* outputs that are computed together */
#define N_EXP 512

/* Two inputs of the TILE records of a tile, or two activations: the first in the low half, for instructions that multiply
   and add pairs of 16-bit numbers. */
typedef uint32_t Pairs[TILE];

/* sums[o][r] = biases[o] + Σ_k x[k][r] w[k][o] for the records r of a tile, and the first n_used of n_out outputs, which are
   multiples of TOGETHER. The weights of two inputs are adjacent, w[pair][output][2]. Only the pairs in `live` are added,
   since the inputs of the others are 0. Every sum must fit 32 bits; the caller guarantees this. */
typedef void Layer(const Pairs *x, const int32_t *live, size n_live, const int16_t *w, const int32_t *biases, size n_out,
                   size n_used, int32_t *sums);

/* A network at one position; layer k has sizes[k] inputs and sizes[k + 1] outputs. */
typedef struct {
    const int32_t *seen, *biases[3];
    const int16_t *weights[3];
    const int64_t *exp;
    size sizes[4], n_components;
    int64_t shifts[5];
} Network;

/* Buffers of a tile: x for the inputs of any layer, live for the pairs that are not 0, all for all pairs, sums for the
   outputs of any layer. */
typedef struct {
    Layer *multiply;
    Pairs *x;
    int32_t *live, *all, *sums;
} Tile;

/* Return whether sizes, shifts and exponentials of a network are valid; n_exp is the length of exp. */
int is_valid(const Network *net, size n_exp);

/* Allocate the buffers for a network; return whether there was enough memory. */
int take_tile(Tile *tile, const Network *net);
void free_tile(Tile *tile);

/* Compute the outputs of a tile of records, from the first of n, into tile->sums, (outputs, TILE). The records that an
   incomplete tile lacks are 0. values: (V, n) */
void forward(const Network *net, const Tile *tile, const int16_t *values, size n, size first);

/* The mixtures of a tile of records: components k of records r are at [k][r]. */
typedef struct {
    int32_t weights[LANES][TILE], means[LANES][TILE], scales[LANES][TILE], largest[TILE];
} Outputs;

/* Convert the outputs of a network, (outputs, TILE), to weights that sum to 2^15, means and scales. `largest` are the
   components with the first largest logits, which get the rounding remainders. */
void convert(const Network *net, const int32_t *sums, Outputs *found);
