/* Passes of interpolation; fields/passes.py describes them. */

#include "_kernels.h"

#define N_AXES 4
#define MOST_OFFSETS 48
#define MOST_OFFSET 16
#define N_SETTINGS 15

/* A pass: positions on a grid, in units of the stride, and the neighbours of each of them. */
typedef struct {
    int64_t shape[N_AXES], spacing[N_AXES], first[N_AXES], last[N_AXES], strides[N_AXES]; /* last: of the grid */
    int64_t axis, step, lowest, highest, is_finest, n_axes;
    const int8_t *pairs, *before; /* offsets, 4 for each neighbour */
    const int64_t *pair_weights, *before_weights;
    size n_pairs, n_before;
} Pass;

static inline int64_t mirrored(int64_t i, int64_t last)
{
    int64_t a = i < 0 ? -i : i, b = 2 * last - a;
    a = a < b ? a : b;
    return a < 0 ? 0 : a;
}

/* Return whether offsets are within limits. */
static inline int are_offsets(const int8_t *offsets, size n)
{
    for (size k = 0; k < n; k++)
        if (offsets[k] < -MOST_OFFSET || offsets[k] > MOST_OFFSET)
            return 0;
    return 1;
}

/* Complete a pass; return whether it is valid. settings: the shape (4), axis, stride, step,
   lowest, highest, is_finest, n_axes, spacing (4). */
static inline int take_pass(Pass *p, const int64_t *settings)
{
    int64_t stride = settings[5], n_values = 1;
    p->axis = settings[4], p->step = settings[6], p->lowest = settings[7], p->highest = settings[8];
    p->is_finest = settings[9], p->n_axes = settings[10];
    if (p->axis < 0 || p->axis >= N_AXES || stride < 1 || p->step < 1 || p->lowest > p->highest ||
        p->is_finest < 0 || p->is_finest > 1 || p->n_axes < 0 || p->n_axes > N_AXES)
        return 0;
    for (int d = N_AXES - 1; d >= 0; d--) {
        p->shape[d] = settings[d], p->spacing[d] = settings[11 + d];
        if (p->shape[d] < 1 || p->shape[d] > ((int64_t)1 << 40) / n_values || p->spacing[d] < 1 || p->spacing[d] > 2)
            return 0;
        p->strides[d] = n_values * stride, p->last[d] = (p->shape[d] - 1) / stride, p->first[d] = d == p->axis;
        n_values *= p->shape[d];
    }
    return 1;
}
