/* Networks of the kernels of causal prediction; residual/causal.py has the formulas. */

#include "_mixture.h"

#define LANES 16 /* the numbers of outputs are multiples of it; the largest number of components */
#define N_EXP 512

/* A layer with n_out outputs, a multiple of LANES: sums[o] = biases[o] + Σ_k x[k] w[k][o]. The weights of two inputs are
   adjacent, w[pair][output][2]. Every sum must fit 32 bits; the caller guarantees this. */
typedef struct {
    const int16_t *weights;
    const int32_t *biases;
    size n_pairs, n_out;
    int shift;
} Layer;

/* Compute activations of a hidden layer: sums >> shift, clipped to 0 … 32767. Pairs of inputs that are 0 are skipped. x
   is padded with zeros to a multiple of LANES. */
typedef void Hidden(const Layer *layer, const int16_t *x, int16_t *active);

/* Compute at least the first n_used sums of the last layer. */
typedef void Output(const Layer *layer, const int16_t *x, size n_used, int32_t *sums);

/* A network at one position; layer k has sizes[k] inputs and sizes[k + 1] outputs. */
typedef struct {
    const int32_t *biases[3];
    const int16_t *weights[3];
    const int64_t *exp;
    size sizes[4], n_components;
    int64_t shifts[5];
} Network;

/* Buffers for one record: the inputs of the first layer, followed by LANES zeros, the activations of the hidden layers,
   and the outputs. */
typedef struct {
    Hidden *hidden;
    Output *output;
    int16_t *x, *active[2];
    int32_t *sums;
} Buffers;

/* The mixture of one value, in values. `largest` is the component with the first largest logit, which gets the rounding
   remainder. */
typedef struct {
    int32_t weights[LANES], means[LANES], scales[LANES];
    size largest;
} Outputs;

/* Return whether sizes, shifts and exponentials of a network are valid; n_exp is the length of exp. */
int is_valid(const Network *net, size n_exp);

/* Allocate the buffers for a network; return whether there was enough memory. */
int take_buffers(Buffers *buffers, const Network *net);
void free_buffers(Buffers *buffers);

/* Compute the mixture of a value, given the inputs of the first layer in buffers->x. */
void forward(const Network *net, const Buffers *buffers, Outputs *found);
