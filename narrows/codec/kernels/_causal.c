/* The kernel of causal networks; residual/causal.py has the formulas and the arguments. */

#include "_causal.h"

#include <stdlib.h>

/* Not on Windows: there GCC does not align the stack enough for these vectors. */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(_WIN32)
#include <immintrin.h>
#define HAS_X86 1
#endif

static void sum(const Layer *l, const int16_t *x, size first, size n, int32_t *sums)
{
    for (size i = 0; i < n; i++)
        sums[i] = l->biases[first + i];
    for (size pair = 0; pair < l->n_pairs; pair++) {
        int32_t a = x[2 * pair], b = x[2 * pair + 1];
        const int16_t *w = l->weights + 2 * (pair * l->n_out + first);
        if (a | b)
            for (size i = 0; i < n; i++)
                sums[i] += a * w[2 * i] + b * w[2 * i + 1];
    }
}

static void hidden(const Layer *l, const int16_t *x, int16_t *active)
{
    int32_t sums[LANES];
    for (size o = 0; o < l->n_out; o += LANES) {
        sum(l, x, o, LANES, sums);
        for (size i = 0; i < LANES; i++)
            active[o + i] = (int16_t)clip(sums[i] >> l->shift, 0, 32767);
    }
}

static void output(const Layer *l, const int16_t *x, size n_used, int32_t *sums) { sum(l, x, 0, n_used, sums); }

#ifdef HAS_X86
#define HIDDEN hidden_avx2
#define OUTPUT output_avx2
#define NAMED(name) name##_vectors_avx2
#define TARGET __attribute__((target("avx2,bmi")))
#define ADD_PRODUCTS(sums, a, b) _mm256_add_epi32(sums, _mm256_madd_epi16(a, b))
#include "_layer.h"

#define HIDDEN hidden_avx512
#define OUTPUT output_avx512
#define NAMED(name) name##_vectors_avx512
#define TARGET __attribute__((target("avx512f,avx512vl,avx512vnni,bmi")))
#define ADD_PRODUCTS _mm256_dpwssd_epi32
#include "_layer.h"
#endif

static void set_fastest(Buffers *buffers)
{
    buffers->hidden = hidden, buffers->output = output;
#ifdef HAS_X86
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("bmi"))
        return;
    if (__builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni"))
        buffers->hidden = hidden_avx512, buffers->output = output_avx512;
    else if (__builtin_cpu_supports("avx2"))
        buffers->hidden = hidden_avx2, buffers->output = output_avx2;
#endif
}

/* Convert the outputs of a network to weights that sum to 2^15, means and scales. */
static void convert(const Network *net, const int32_t *sums, Outputs *found)
{
    size n = net->n_components, largest = 0;
    uint32_t parts[LANES], total = 0, used = 0;
    for (size k = 1; k < n; k++)
        largest = sums[k] >> net->shifts[2] > sums[largest] >> net->shifts[2] ? k : largest;
    for (size k = 0; k < n; k++) {
        uint32_t away = (uint32_t)(sums[largest] >> net->shifts[2]) - (uint32_t)(sums[k] >> net->shifts[2]);
        parts[k] = (uint32_t)net->exp[away < N_EXP ? away : N_EXP - 1]; /* at most 2^15 */
        total += parts[k];
    }
    for (size k = 0; k < n; k++) {
        found->weights[k] = (int32_t)((parts[k] << 15) / total);
        used += (uint32_t)found->weights[k];
        found->means[k] = sums[n + k] >> net->shifts[3];
        found->scales[k] = sums[2 * n + k] >> net->shifts[4];
    }
    found->weights[largest] += 32768 - (int32_t)used;
    found->largest = largest;
}

/* The lengths of a network's arrays. */
typedef struct {
    size weights[3], exp;
} Counts;

/* Parse weights_1, biases_1, weights_2, biases_2, weights_3, biases_3, shifts and exp. */
static Network take_network(Arguments *a, Counts *n)
{
    static const char *const names[3][2] = {
        {"weights_1", "biases_1"}, {"weights_2", "biases_2"}, {"weights_3", "biases_3"}};
    Network net = {0};
    for (int k = 0; k < 3; k++) {
        net.weights[k] = array(a, names[k][0], INT16S, READ, &n->weights[k]);
        net.biases[k] = array(a, names[k][1], INT32S, READ, &net.sizes[k + 1]);
    }
    integers(a, "shifts", net.shifts, 5);
    net.exp = array(a, "exp", INT64S, READ, &n->exp);
    return net;
}

int is_valid(const Network *net, size n_exp)
{
    int right = net->sizes[0] % 2 == 0 && n_exp == N_EXP;
    for (int k = 1; k < 4; k++)
        right = right && net->sizes[k] % LANES == 0;
    for (int k = 0; k < 5; k++)
        right = right && net->shifts[k] >= 0 && net->shifts[k] < 32;
    for (size k = 0; k < N_EXP && right; k++)
        right = net->exp[k] >= (k == 0) && net->exp[k] <= 1 << 15; /* exp[0] > 0, so no divisor is 0 */
    return right && net->n_components <= LANES && 3 * net->n_components <= net->sizes[3];
}

/* Return whether the arrays of a network, and the indices of its inputs among the n_values values of n records, fit
   together. */
static int is_network(const Network *net, const Counts *counts, const int32_t *seen, size n, size n_values)
{
    int right = is_valid(net, counts->exp) && net->n_components >= (n > 0);
    for (int k = 0; k < 3; k++)
        right = right && counts->weights[k] == net->sizes[k] * net->sizes[k + 1];
    for (size k = 0; k < net->sizes[0] && right && n; k++)
        right = seen[k] >= 0 && seen[k] < n_values;
    return right;
}

int take_buffers(Buffers *buffers, const Network *net)
{
    size most = 1;
    for (int k = 0; k < 4; k++)
        most = net->sizes[k] > most ? net->sizes[k] : most;
    set_fastest(buffers);
    buffers->x = calloc((size_t)most + 2 * LANES, 2);
    buffers->active[0] = calloc((size_t)most, 2);
    buffers->active[1] = calloc((size_t)most, 2);
    buffers->sums = calloc((size_t)most + LANES, 4);
    return buffers->x && buffers->active[0] && buffers->active[1] && buffers->sums;
}

void free_buffers(Buffers *buffers)
{
    free(buffers->x);
    free(buffers->active[0]);
    free(buffers->active[1]);
    free(buffers->sums);
}

static inline Layer layer_of(const Network *net, int k)
{
    return (Layer){.weights = net->weights[k], .biases = net->biases[k], .n_pairs = net->sizes[k] / 2,
                   .n_out = net->sizes[k + 1], .shift = (int)net->shifts[k]};
}

void forward(const Network *net, const Buffers *buffers, Outputs *found)
{
    Layer first = layer_of(net, 0), second = layer_of(net, 1), last = layer_of(net, 2);
    buffers->hidden(&first, buffers->x, buffers->active[0]);
    buffers->hidden(&second, buffers->active[0], buffers->active[1]);
    buffers->output(&last, buffers->active[1], 3 * net->n_components, buffers->sums);
    convert(net, buffers->sums, found);
}

/* causal(values, seen, weights_1, biases_1, weights_2, biases_2, weights_3, biases_3, shifts, exp, middles, coarse,
          wider, weights, means, scales)
   values: (V, n) int16; seen: (inputs,) int32, an even number; biases: (outputs,) int32, multiples of LANES */
PyObject *causal(PyObject *module, PyObject *args)
{
    Arguments a = {.function = "causal", .args = args};
    Counts counts;
    size n_values, n, n_seen, n_weights, n_means, n_scales;
    const int16_t *values = array(&a, "values", INT16S, READ, &n_values);
    const int32_t *seen = array(&a, "seen", INT32S, READ, &n_seen);
    Network net = take_network(&a, &counts);
    net.sizes[0] = n_seen;
    const int64_t *middles = array(&a, "middles", INT64S, READ, &n);
    int64_t coarse = integer(&a, "coarse"), wider = integer(&a, "wider");
    int32_t *weights = array(&a, "weights", INT32S, WRITTEN, &n_weights);
    int64_t *means = array(&a, "means", INT64S, WRITTEN, &n_means);
    int32_t *scales = array(&a, "scales", INT32S, WRITTEN, &n_scales);
    (void)module;
    if (!is_complete(&a))
        return NULL;
    size n_components = net.n_components = n ? n_weights / n : 0;
    if (!is_network(&net, &counts, seen, n, n ? n_values / n : 0) || coarse < 1 || n_weights != n * n_components ||
        n_means != n_weights || n_scales != n_weights)
        return refuse(&a, "inconsistent sizes");
    Buffers buffers;
    int has_memory = take_buffers(&buffers, &net);
    if (has_memory) {
        Py_BEGIN_ALLOW_THREADS
        for (size i = 0; i < n; i++) {
            Outputs found;
            memset(buffers.x, 0, (size_t)(net.sizes[0] + LANES) * 2);
            for (size k = 0; k < net.sizes[0]; k++)
                buffers.x[k] = values[seen[k] * n + i];
            forward(&net, &buffers, &found);
            for (size k = 0; k < n_components; k++) {
                int64_t mean = found.means[k] - middles[i];
                weights[k * n + i] = found.weights[k];
                means[k * n + i] = coarse == 1 ? mean : floor_divided(mean, coarse);
                scales[k * n + i] = (int32_t)clip(found.scales[k] - wider, 0, N_SCALES - 1);
            }
        }
        Py_END_ALLOW_THREADS
    }
    free_buffers(&buffers);
    release(&a);
    if (!has_memory)
        return PyErr_NoMemory();
    Py_RETURN_NONE;
}
