/* Mixtures of logistic distributions for the kernels of residuals; residual/mixture.py has the formulas. */

#include "_kernels.h"

#define N_SIGMOID 4097
#define N_SCALES 64
#define MOST_COMPONENTS 16
#define MOST_WINDOW 8192
#define FURTHEST_MEAN ((int64_t)1 << 29)

/* The distribution of one value. */
typedef struct {
    int64_t means[MOST_COMPONENTS]; /* relative to the lower edge of the window's first value, within ±2^29 */
    int64_t slopes[MOST_COMPONENTS];
    int32_t weights[MOST_COMPONENTS];
    size n_components, heaviest; /* the first component with the largest weight */
    int64_t low, window;
    const int32_t *sigmoid;   /* 4097 */
    int64_t place, start, end; /* the place that was found last, and its interval, which is empty before */
} Mixture;

/* Start a mixture without components. */
static inline void mixture_start(Mixture *m, int64_t low, int64_t window, const int32_t *sigmoid)
{
    m->low = low, m->window = window, m->sigmoid = sigmoid;
    m->n_components = m->heaviest = 0;
    m->means[0] = m->weights[0] = 0;
    m->place = m->start = m->end = 0;
}

/* Add a component to a mixture, unless its weight is 0. */
static inline void mixture_add(Mixture *m, int32_t weight, int64_t mean, int64_t slope)
{
    if (weight == 0)
        return;
    size k = m->n_components++;
    m->weights[k] = weight, m->slopes[k] = slope;
    m->means[k] = clip(mean - 16 * m->low + 8, -FURTHEST_MEAN, FURTHEST_MEAN);
    if (weight > m->weights[m->heaviest])
        m->heaviest = k;
}

static inline int64_t mixture_sum(const Mixture *m, int64_t j)
{
    if (j <= 0)
        return 0;
    if (j >= m->window - 1)
        return j == m->window ? 65536 : 65535;
    int64_t mass = 0;
    for (size k = 0; k < m->n_components; k++) {
        /* Distances of more than 2^24 need no limit: their products fit 64 bits, and exceed that of z. */
        int64_t z = clip((16 * j - m->means[k]) * m->slopes[k] >> 16, -2048, 2048);
        mass += (int64_t)m->weights[k] * m->sigmoid[2048 + z];
    }
    return j + ((65536 - m->window) * mass >> 31);
}

/* Set start and frequency of the value at place j of the window. */
static inline void mixture_place(Mixture *m, int64_t j, uint16_t *start, uint16_t *frequency)
{
    if (j != m->place || m->start == m->end)
        m->place = j, m->start = mixture_sum(m, j), m->end = mixture_sum(m, j + 1);
    *start = (uint16_t)m->start;
    *frequency = (uint16_t)(m->end - m->start);
}

/* Set place, start and end to those of a slot, below 2^16. The search starts at the mean of the component with the largest
   weight. */
static inline void mixture_search(Mixture *m, int64_t slot)
{
    int64_t low = clip(m->means[m->heaviest] >> 4, 0, m->window - 1), high = low, step = 1;
    int64_t start = mixture_sum(m, low), end = start;
    for (; end <= slot; step *= 4) {
        low = high, start = end;
        high = clip(high + step, 0, m->window), end = mixture_sum(m, high);
    }
    for (; start > slot; step *= 4) {
        high = low, end = start;
        low = clip(low - step, 0, m->window), start = mixture_sum(m, low);
    }
    while (high - low > 1) {
        int64_t middle = (low + high) >> 1, sum = mixture_sum(m, middle);
        if (sum <= slot)
            low = middle, start = sum;
        else
            high = middle, end = sum;
    }
    m->place = low, m->start = start, m->end = end;
}

/* The state of decoding a message. */
typedef struct {
    int64_t *states;
    const uint16_t *words;
    size n_lanes, n_words, read; /* read: -1 when there were too few words */
} Message;

/* Parse states, words and the number of words read. */
static inline Message take_message(Arguments *a)
{
    Message message;
    message.states = array(a, "states", INT64S, WRITTEN, &message.n_lanes);
    message.words = array(a, "words", UINT16S, READ, &message.n_words);
    message.read = (size)integer(a, "n_read");
    return message;
}

/* Decode the next value's place from a lane of a message. */
static inline int64_t mixture_pop(Mixture *m, Message *message, size lane)
{
    uint32_t x = (uint32_t)message->states[lane], slot = x & 0xFFFF;
    if (slot < m->start || slot >= m->end)
        mixture_search(m, slot);
    x = (uint32_t)(m->end - m->start) * (x >> 16) + slot - (uint32_t)m->start;
    if (x < LOWEST) {
        if (message->read >= message->n_words) {
            message->read = -1;
            return 0;
        }
        x = x << 16 | message->words[message->read++];
    }
    message->states[lane] = x;
    return m->place;
}
