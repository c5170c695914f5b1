/* The kernel of causal networks; residual/causal.py has the formulas and the arguments. */

#include "_causal.h"

#include <stdlib.h>

/* Not on Windows: there GCC does not align the stack enough for these vectors. */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(_WIN32)
#include <immintrin.h>
#define HAS_X86 1
#endif

static void layer(const Pairs *x, const int32_t *live, size n_live, const int16_t *w, const int32_t *biases, size n_out,
                  size n_used, int32_t *sums)
{
    for (size o = 0; o < n_used; o++, sums += TILE) {
        for (size r = 0; r < TILE; r++)
            sums[r] = biases[o];
        for (size k = 0; k < n_live; k++) {
            const uint32_t *both = x[live[k]];
            const int16_t *weights = w + 2 * (live[k] * n_out + o);
            for (size r = 0; r < TILE; r++)
                sums[r] += (int16_t)both[r] * weights[0] + (int16_t)(both[r] >> 16) * weights[1];
        }
    }
}

#ifdef HAS_X86
__attribute__((target("avx2"))) static void layer_avx2(const Pairs *x, const int32_t *live, size n_live,
                                                       const int16_t *w, const int32_t *biases, size n_out,
                                                       size n_used, int32_t *sums)
{
    for (size o = 0; o < n_used; o += TOGETHER) {
        __m256i sum[TOGETHER];
        for (int i = 0; i < TOGETHER; i++)
            sum[i] = _mm256_set1_epi32(biases[o + i]);
        for (size k = 0; k < n_live; k++) {
            const int16_t *weights = w + 2 * (live[k] * n_out + o);
            __m256i both = _mm256_loadu_si256((const __m256i *)x[live[k]]);
            for (int i = 0; i < TOGETHER; i++) {
                int32_t pair;
                memcpy(&pair, weights + 2 * i, 4);
                sum[i] = _mm256_add_epi32(sum[i], _mm256_madd_epi16(both, _mm256_set1_epi32(pair)));
            }
        }
        for (int i = 0; i < TOGETHER; i++)
            _mm256_storeu_si256((__m256i *)(sums + TILE * (o + i)), sum[i]);
    }
}

__attribute__((target("avx512f,avx512vl,avx512vnni"))) static void
layer_avx512(const Pairs *x, const int32_t *live, size n_live, const int16_t *w, const int32_t *biases, size n_out,
             size n_used, int32_t *sums)
{
    for (size o = 0; o < n_used; o += TOGETHER) {
        __m256i sum[TOGETHER];
        for (int i = 0; i < TOGETHER; i++)
            sum[i] = _mm256_set1_epi32(biases[o + i]);
        for (size k = 0; k < n_live; k++) {
            const int16_t *weights = w + 2 * (live[k] * n_out + o);
            __m256i both = _mm256_loadu_si256((const __m256i *)x[live[k]]);
            for (int i = 0; i < TOGETHER; i++) {
                int32_t pair;
                memcpy(&pair, weights + 2 * i, 4);
                sum[i] = _mm256_dpwssd_epi32(sum[i], both, _mm256_set1_epi32(pair));
            }
        }
        for (int i = 0; i < TOGETHER; i++)
            _mm256_storeu_si256((__m256i *)(sums + TILE * (o + i)), sum[i]);
    }
}
#endif

static Layer *fastest_layer(void)
{
#ifdef HAS_X86
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni"))
        return layer_avx512;
    if (__builtin_cpu_supports("avx2"))
        return layer_avx2;
#endif
    return layer;
}

static inline uint32_t activation(int32_t sum, int shift)
{
    int32_t value = sum >> shift;
    return (uint32_t)(value < 0 ? 0 : value > 32767 ? 32767 : value);
}

/* x = sums >> shift, clipped to 0 … 32767: the inputs of the next layer. */
FOR_EVERY_CPU
static void activate(const int32_t *sums, size n_pairs, int shift, Pairs *x)
{
    for (size pair = 0; pair < n_pairs; pair++, sums += 2 * TILE)
        for (size r = 0; r < TILE; r++)
            x[pair][r] = activation(sums[r], shift) | activation(sums[TILE + r], shift) << 16;
}

/* Write the inputs of a tile of records, from the first of n, to tile->x, and the pairs that are not 0 in all of them to
   tile->live; return their number. */
static size gather(const Network *net, const int16_t *values, size n, size first, const Tile *tile)
{
    size count = n - first < TILE ? n - first : TILE, n_live = 0;
    for (size pair = 0; pair < net->sizes[0] / 2; pair++) {
        const int16_t *a = values + net->seen[2 * pair] * n + first, *b = values + net->seen[2 * pair + 1] * n + first;
        uint32_t *x = tile->x[pair], any = 0;
        if (count < TILE)
            memset(x, 0, sizeof(Pairs));
        if (count == TILE)
            for (size r = 0; r < TILE; r++)
                any |= x[r] = (uint16_t)a[r] | (uint32_t)(uint16_t)b[r] << 16;
        else
            for (size r = 0; r < count; r++)
                any |= x[r] = (uint16_t)a[r] | (uint32_t)(uint16_t)b[r] << 16;
        tile->live[n_live] = (int32_t)pair;
        n_live += any != 0;
    }
    return n_live;
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
    size most = 1;
    for (int k = 0; k < 4; k++)
        most = net->sizes[k] > most ? net->sizes[k] : most;
    tile->multiply = fastest_layer();
    tile->x = malloc((size_t)most * sizeof(Pairs));
    tile->live = malloc((size_t)most * 4);
    tile->all = malloc((size_t)most * 4);
    tile->sums = malloc((size_t)most * TILE * 4);
    for (size pair = 0; pair < most && tile->all; pair++)
        tile->all[pair] = (int32_t)pair;
    return tile->x && tile->live && tile->all && tile->sums;
}

void free_tile(Tile *tile)
{
    free(tile->x);
    free(tile->live);
    free(tile->all);
    free(tile->sums);
}

void forward(const Network *net, const Tile *tile, const int16_t *values, size n, size first)
{
    size n_live = gather(net, values, n, first, tile);
    for (int k = 0; k < 3; k++) {
        size n_out = net->sizes[k + 1];
        size n_used = k < 2 ? n_out : (3 * net->n_components + TOGETHER - 1) / TOGETHER * TOGETHER;
        tile->multiply(tile->x, k ? tile->all : tile->live, k ? net->sizes[k] / 2 : n_live, net->weights[k],
                       net->biases[k], n_out, n_used, tile->sums);
        if (k < 2)
            activate(tile->sums, n_out / 2, (int)net->shifts[k], tile->x);
    }
}

FOR_EVERY_CPU
void convert(const Network *net, const int32_t *sums, Outputs *found)
{
    size n = net->n_components;
    int32_t highest[TILE], logits[LANES][TILE], parts[LANES][TILE], total[TILE] = {0}, used[TILE] = {0};
    int shifts[3] = {(int)net->shifts[2], (int)net->shifts[3], (int)net->shifts[4]};
    for (size k = 0; k < n; k++)
        for (size r = 0; r < TILE; r++) {
            logits[k][r] = sums[k * TILE + r] >> shifts[0];
            found->means[k][r] = sums[(n + k) * TILE + r] >> shifts[1];
            found->scales[k][r] = sums[(2 * n + k) * TILE + r] >> shifts[2];
        }
    for (size r = 0; r < TILE; r++)
        highest[r] = logits[0][r], found->largest[r] = 0;
    for (size k = 1; k < n; k++)
        for (size r = 0; r < TILE; r++) {
            found->largest[r] = logits[k][r] > highest[r] ? (int32_t)k : found->largest[r];
            highest[r] = logits[k][r] > highest[r] ? logits[k][r] : highest[r];
        }
    for (size k = 0; k < n; k++)
        for (size r = 0; r < TILE; r++) {
            uint32_t away = (uint32_t)highest[r] - (uint32_t)logits[k][r];
            parts[k][r] = (int32_t)net->exp[away < N_EXP ? away : N_EXP - 1]; /* at most 2^15 */
            total[r] += parts[k][r];
        }
    for (size k = 0; k < n; k++)
        for (size r = 0; r < TILE; r++) { /* the quotient of such small integers is never rounded up to a whole one */
            found->weights[k][r] = (int32_t)((double)(parts[k][r] << 15) / total[r]);
            used[r] += found->weights[k][r];
        }
    for (size r = 0; r < TILE; r++)
        found->weights[found->largest[r]][r] += 32768 - used[r];
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
            Outputs found;
            forward(&net, &tile, values, n, first);
            convert(&net, tile.sums, &found);
            for (size i = first; i < n && i < first + TILE; i++)
                for (size k = 0; k < n_components; k++) {
                    int64_t mean = found.means[k][i - first] - middles[i];
                    weights[k * n + i] = found.weights[k][i - first];
                    means[k * n + i] = coarse == 1 ? mean : floor_divided(mean, coarse);
                    scales[k * n + i] = (int32_t)clip(found.scales[k][i - first] - wider, 0, N_SCALES - 1);
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
