/* What the files of the inner loops share. Sums that may leave 64 bits are written as ones of unsigned numbers. */

#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__) && defined(__linux__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__)
#define FOR_EVERY_CPU __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define FOR_EVERY_CPU
#endif

#define LOWEST 65536u /* a state of rANS is at least this, see rans.py */

typedef Py_ssize_t size;

static inline void release(Py_buffer *buffers, int n)
{
    for (int i = 0; i < n; i++)
        PyBuffer_Release(&buffers[i]);
}

static inline int64_t clip(int64_t value, int64_t low, int64_t high)
{
    return value < low ? low : value > high ? high : value;
}

static inline int64_t floor_divided(int64_t a, int64_t b) /* b > 0 */
{
    int64_t whole = a / b;
    return whole - (whole * b > a);
}

PyObject *place(PyObject *module, PyObject *args);
PyObject *pop_mixture(PyObject *module, PyObject *args);
PyObject *linear_look(PyObject *module, PyObject *args);
PyObject *linear_place(PyObject *module, PyObject *args);
PyObject *linear_pop(PyObject *module, PyObject *args);
PyObject *causal(PyObject *module, PyObject *args);
