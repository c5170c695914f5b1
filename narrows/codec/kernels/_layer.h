/* The layers of causal networks for x86. Included for each set of instructions, with the macros HIDDEN, OUTPUT, NAMED
   (for the names of functions), TARGET, and ADD_PRODUCTS(sums, a, b), which adds products of pairs of 16-bit numbers. */

#define INLINE TARGET static inline __attribute__((always_inline))

/* Add the products of a pair of inputs to n_vectors vectors of eight sums. */
INLINE void NAMED(add)(const int16_t *x, size pair, const int16_t *w, size n_out, __m256i *sums, int n_vectors)
{
    int32_t both;
    memcpy(&both, x + 2 * pair, 4);
    __m256i inputs = _mm256_set1_epi32(both);
    for (int i = 0; i < n_vectors; i++) {
        __m256i weights = _mm256_loadu_si256((const __m256i *)(w + 2 * pair * n_out + 16 * i));
        sums[i] = ADD_PRODUCTS(sums[i], inputs, weights);
    }
}

/* Compute n_vectors activations of 8, an even number of at most 8. */
INLINE void NAMED(hidden)(const Layer *l, const int16_t *x, size o, int16_t *active, int n_vectors)
{
    __m256i sums[8], none = _mm256_setzero_si256();
    __m128i shift = _mm_cvtsi32_si128(l->shift);
    for (int i = 0; i < n_vectors; i++)
        sums[i] = _mm256_loadu_si256((const __m256i *)(l->biases + o + 8 * i));
    for (size first = 0; first < l->n_pairs; first += 64) {
        uint64_t live = 0; /* the bits of pairs that are not 0 */
        for (size at = first; at < l->n_pairs && at < first + 64; at += 8) {
            __m256i zeros = _mm256_cmpeq_epi32(_mm256_loadu_si256((const __m256i *)(x + 2 * at)), none);
            live |= (uint64_t)(~_mm256_movemask_ps(_mm256_castsi256_ps(zeros)) & 0xFF) << (at - first);
        }
        for (; live; live &= live - 1)
            NAMED(add)(x, first + __builtin_ctzll(live), l->weights + 2 * o, l->n_out, sums, n_vectors);
    }
    for (int i = 0; i < n_vectors; i += 2) { /* packing saturates at 32767, and exchanges the middle quarters */
        __m256i both = _mm256_packs_epi32(_mm256_sra_epi32(sums[i], shift), _mm256_sra_epi32(sums[i + 1], shift));
        both = _mm256_max_epi16(_mm256_permute4x64_epi64(both, 0xD8), none);
        _mm256_storeu_si256((__m256i *)(active + o + 8 * i), both);
    }
}

TARGET static void HIDDEN(const Layer *l, const int16_t *x, int16_t *active)
{
    size o = 0;
    for (; o + 64 <= l->n_out; o += 64)
        NAMED(hidden)(l, x, o, active, 8);
    for (; o < l->n_out; o += 16)
        NAMED(hidden)(l, x, o, active, 2);
}

/* Compute n_vectors vectors of eight sums: so few that skipping pairs would take longer. */
INLINE void NAMED(output)(const Layer *l, const int16_t *x, size o, int32_t *to, int n_vectors)
{
    __m256i sums[3];
    for (int i = 0; i < n_vectors; i++)
        sums[i] = _mm256_loadu_si256((const __m256i *)(l->biases + o + 8 * i));
    for (size pair = 0; pair < l->n_pairs; pair++)
        NAMED(add)(x, pair, l->weights + 2 * o, l->n_out, sums, n_vectors);
    for (int i = 0; i < n_vectors; i++)
        _mm256_storeu_si256((__m256i *)(to + o + 8 * i), sums[i]);
}

TARGET static void OUTPUT(const Layer *l, const int16_t *x, size n_used, int32_t *sums)
{
    size o = 0;
    for (; o + 24 <= l->n_out && o < n_used; o += 24)
        NAMED(output)(l, x, o, sums, 3);
    for (; o < n_used; o += 8)
        NAMED(output)(l, x, o, sums, 1);
}

#undef INLINE
#undef HIDDEN
#undef OUTPUT
#undef NAMED
#undef TARGET
#undef ADD_PRODUCTS
