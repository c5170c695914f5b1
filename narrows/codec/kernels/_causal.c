/* The kernel of causal networks; residual/causal.py has the formulas and the arguments. */

#include "_causal.h"

#include <stdlib.h>

/* Not on Windows: there GCC does not align the stack enough for these vectors. */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(_WIN32)
#include <immintrin.h>
#define HAS_X86 1
#endif

static void layer(const int16_t *x, size n_pairs, const int16_t *w, const int32_t *biases, size n_out, int32_t *sums)
{
    for (size r = 0; r < TILE; r++, x += 2 * n_pairs, sums += n_out) {
        for (size o = 0; o < n_out; o++)
            sums[o] = biases[o];
        for (size pair = 0; pair < n_pairs; pair++) {
            const int16_t *row = w + 2 * pair * n_out;
            int32_t first = x[2 * pair], second = x[2 * pair + 1];
            for (size o = 0; o < n_out; o++)
                sums[o] += first * row[2 * o] + second * row[2 * o + 1];
        }
    }
}

#ifdef HAS_X86
__attribute__((target("avx2"))) static void layer_avx2(const int16_t *x, size n_pairs, const int16_t *w,
                                                       const int32_t *biases, size n_out, int32_t *sums)
{
    for (size o = 0; o < n_out; o += 8) {
        __m256i sum[TILE];
        for (int r = 0; r < TILE; r++)
            sum[r] = _mm256_loadu_si256((const __m256i *)(biases + o));
        for (size pair = 0; pair < n_pairs; pair++) {
            __m256i row = _mm256_loadu_si256((const __m256i *)(w + 2 * (pair * n_out + o)));
            for (int r = 0; r < TILE; r++) {
                int32_t both;
                memcpy(&both, x + 2 * (r * n_pairs + pair), 4);
                sum[r] = _mm256_add_epi32(sum[r], _mm256_madd_epi16(row, _mm256_set1_epi32(both)));
            }
        }
        for (int r = 0; r < TILE; r++)
            _mm256_storeu_si256((__m256i *)(sums + r * n_out + o), sum[r]);
    }
}

__attribute__((target("avx512f,avx512bw,avx512vnni"))) static void
layer_avx512(const int16_t *x, size n_pairs, const int16_t *w, const int32_t *biases, size n_out, int32_t *sums)
{
    for (size o = 0; o < n_out; o += LANES) {
        __m512i sum[TILE];
        for (int r = 0; r < TILE; r++)
            sum[r] = _mm512_loadu_si512(biases + o);
        for (size pair = 0; pair < n_pairs; pair++) {
            __m512i row = _mm512_loadu_si512(w + 2 * (pair * n_out + o));
            for (int r = 0; r < TILE; r++) {
                int32_t both;
                memcpy(&both, x + 2 * (r * n_pairs + pair), 4);
                sum[r] = _mm512_dpwssd_epi32(sum[r], row, _mm512_set1_epi32(both));
            }
        }
        for (int r = 0; r < TILE; r++)
            _mm512_storeu_si512(sums + r * n_out + o, sum[r]);
    }
}
#endif

static Layer *fastest_layer(void)
{
#ifdef HAS_X86
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vnni"))
        return layer_avx512;
    if (__builtin_cpu_supports("avx2"))
        return layer_avx2;
#endif
    return layer;
}

/* x = sums >> shift, clipped to 0 … 32767: the inputs of the next layer. */
FOR_EVERY_CPU
static void activate(const int32_t *sums, size n, int shift, int16_t *x)
{
    for (size i = 0; i < n; i++) {
        int32_t value = sums[i] >> shift;
        x[i] = (int16_t)(value < 0 ? 0 : value > 32767 ? 32767 : value);
    }
}

/* The lengths of a network's arrays. */
typedef struct {
    size weights[3], exp;
} Counts;

/* Parse seen, weights_1, biases_1, weights_2, biases_2, weights_3, biases_3, shifts and exp. */
static Network take_network(Arguments *a, Counts *n)
{
    static const char *const names[3][2] = {
        {"weights_1", "biases_1"}, {"weights_2", "biases_2"}, {"weights_3", "biases_3"}};
    Network net = {0};
    net.seen = array(a, "seen", INT32S, READ, &net.sizes[0]);
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

/* Return whether the arrays of a network, for n records of n_values values, fit together. */
static int is_network(const Network *net, const Counts *counts, size n, size n_values)
{
    int right = is_valid(net, counts->exp) && net->n_components >= (n > 0);
    for (int k = 0; k < 3; k++)
        right = right && counts->weights[k] == net->sizes[k] * net->sizes[k + 1];
    for (size k = 0; k < net->sizes[0] && right && n; k++)
        right = net->seen[k] >= 0 && net->seen[k] < n_values;
    return right;
}

int take_tile(Tile *tile, const Network *net)
{
    const size *sizes = net->sizes;
    size most = 0;
    for (int k = 1; k < 4; k++)
        most = sizes[k] > most ? sizes[k] : most;
    tile->multiply = fastest_layer();
    tile->x = malloc((size_t)(TILE * (sizes[0] + sizes[1] + sizes[2] + 1) * 2));
    tile->sums = malloc((size_t)(TILE * (most + 1) * 4));
    return tile->x && tile->sums;
}

void free_tile(Tile *tile)
{
    free(tile->x);
    free(tile->sums);
}

void forward(const Network *net, const Tile *tile, const int16_t *values, size n, size first)
{
    const size *sizes = net->sizes;
    size count = n - first < TILE ? n - first : TILE;
    int16_t *x = tile->x;
    for (size k = 0; k < sizes[0]; k++) {
        const int16_t *seen = values + net->seen[k] * n + first;
        for (size r = 0; r < TILE; r++)
            x[r * sizes[0] + k] = seen[r < count ? r : count - 1];
    }
    for (int k = 0; k < 3; k++) {
        tile->multiply(x, sizes[k] / 2, net->weights[k], net->biases[k], sizes[k + 1], tile->sums);
        x += TILE * sizes[k];
        if (k < 2)
            activate(tile->sums, TILE * sizes[k + 1], (int)net->shifts[k], x);
    }
}

/* causal(values, seen, weights_1, biases_1, weights_2, biases_2, weights_3, biases_3, shifts, exp, middles, coarse,
          wider, weights, means, scales)
   values: (V, n) int16; seen: (inputs,) int32, an even number; biases: (outputs,) int32, multiples of LANES */
PyObject *causal(PyObject *module, PyObject *args)
{
    Arguments a = {.function = "causal", .args = args};
    Counts counts;
    size n_values, n, n_weights, n_means, n_scales;
    const int16_t *values = array(&a, "values", INT16S, READ, &n_values);
    Network net = take_network(&a, &counts);
    const int64_t *middles = array(&a, "middles", INT64S, READ, &n);
    int64_t coarse = integer(&a, "coarse"), wider = integer(&a, "wider");
    int32_t *weights = array(&a, "weights", INT32S, WRITTEN, &n_weights);
    int64_t *means = array(&a, "means", INT64S, WRITTEN, &n_means);
    int32_t *scales = array(&a, "scales", INT32S, WRITTEN, &n_scales);
    (void)module;
    if (!is_complete(&a))
        return NULL;
    size n_components = net.n_components = n ? n_weights / n : 0;
    if (!is_network(&net, &counts, n, n ? n_values / n : 0) || coarse < 1 || n_weights != n * n_components ||
        n_means != n_weights || n_scales != n_weights)
        return refuse(&a, "inconsistent sizes");
    Tile tile;
    int has_memory = take_tile(&tile, &net);
    if (has_memory) {
        Py_BEGIN_ALLOW_THREADS
        for (size first = 0; first < n; first += TILE) {
            forward(&net, &tile, values, n, first);
            for (size i = first; i < n && i < first + TILE; i++) {
                const int32_t *outputs = tile.sums + (i - first) * net.sizes[3];
                to_weights(outputs, (int)net.shifts[2], net.exp, n_components, weights + i, n);
                for (size k = 0; k < n_components; k++) {
                    int64_t mean = outputs[n_components + k] >> net.shifts[3];
                    int64_t scale = outputs[2 * n_components + k] >> net.shifts[4];
                    means[k * n + i] = coarse == 1 ? mean - middles[i] : floor_divided(mean - middles[i], coarse);
                    scales[k * n + i] = (int32_t)clip(scale - wider, 0, N_SCALES - 1);
                }
            }
        }
        Py_END_ALLOW_THREADS
    }
    free_tile(&tile);
    release(&a);
    if (!has_memory)
        return PyErr_NoMemory();
    Py_RETURN_NONE;
}
