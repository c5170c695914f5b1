/* Networks of the kernels of causal prediction; residual/causal.py has the formulas. */

#include "_mixture.h"

#define TILE 8   /* records that are processed together */
#define LANES 16 /* outputs that are processed together, and the largest number of components */
#define N_EXP 512

/* sums[r][o] = biases[o] + Σ_k x[r][k] w[k][o] for a tile of records; n_out is a multiple of LANES. The weights of two
   inputs are adjacent, [pair][output][2], for instructions that multiply and add pairs of 16-bit numbers. Every sum must
   fit 32 bits; the caller guarantees this. */
typedef void Layer(const int16_t *x, size n_pairs, const int16_t *w, const int32_t *biases, size n_out, int32_t *sums);

/* A network at one position; layer k has sizes[k] inputs and sizes[k + 1] outputs. */
typedef struct {
    const int32_t *seen, *biases[3];
    const int16_t *weights[3];
    const int64_t *exp;
    size sizes[4], n_components;
    int64_t shifts[5];
} Network;

/* Buffers of a tile: x for the inputs of all layers, sums for the outputs of any layer. */
typedef struct {
    Layer *multiply;
    int16_t *x;
    int32_t *sums;
} Tile;

/* Return whether sizes, shifts and exponentials of a network are valid; n_exp is the length of exp. */
int is_valid(const Network *net, size n_exp);

/* Allocate the buffers for a network; return whether there was enough memory. */
int take_tile(Tile *tile, const Network *net);
void free_tile(Tile *tile);

/* Compute the outputs of a tile of records, from the first of n, into tile->sums. An incomplete tile is filled up with
   its last record. values: (V, n) */
void forward(const Network *net, const Tile *tile, const int16_t *values, size n, size first);

/* Convert logits to weights that sum to 2^15, and return the first largest, which gets the rounding remainder. */
static inline size to_weights(const int32_t *logits, int shift, const int64_t *exp, size n_components, int32_t *weights,
                              size stride)
{
    size largest = 0;
    uint32_t total = 0, used = 0, parts[LANES]; /* each part is at most 2^15 */
    for (size k = 1; k < n_components; k++)
        if (logits[k] >> shift > logits[largest] >> shift)
            largest = k;
    for (size k = 0; k < n_components; k++) {
        int64_t away = (int64_t)(logits[largest] >> shift) - (logits[k] >> shift);
        total += parts[k] = (uint32_t)exp[away < N_EXP ? away : N_EXP - 1];
    }
    for (size k = 0; k < n_components; k++)
        used += weights[k * stride] = (int32_t)((parts[k] << 15) / total);
    weights[largest * stride] += 32768 - (int32_t)used;
    return largest;
}
