/* Shared declarations of the kernels. Sums that may overflow 64 bits are computed with unsigned integers. */

#pragma once

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

#define LOWEST 65536u /* the smallest state of rANS, see rans.py */

typedef Py_ssize_t size;

#define MOST_ARRAYS 24 /* of a function's arguments */

/* The arguments of a function: parsed in order by `array`, `integer` and `integers`. The first invalid argument sets an
   exception, and later calls do nothing. The results may be used only if `is_complete` returns true. */
typedef struct {
    const char *function;
    PyObject *args;
    size at;
    int failed, n_buffers;
    Py_buffer buffers[MOST_ARRAYS];
} Arguments;

typedef enum { BOOLS, INT8S, UINT8S, INT16S, UINT16S, INT32S, UINT32S, INT64S, FLOAT64S } Dtype;
typedef enum { READ, WRITTEN } Access;

/* Parse the next argument, an array in C order; return its data, and set n to its length. */
void *array(Arguments *a, const char *name, Dtype dtype, Access access, size *n);
int64_t integer(Arguments *a, const char *name);
/* Parse a tuple of n integers. */
void integers(Arguments *a, const char *name, int64_t *values, size n);
/* Return whether all arguments are valid and none is left; otherwise release them. */
int is_complete(Arguments *a);
void release(Arguments *a);
/* Release the arguments and return NULL with a ValueError. */
PyObject *refuse(Arguments *a, const char *why);

static inline int64_t clip(int64_t value, int64_t low, int64_t high)
{
    return value < low ? low : value > high ? high : value;
}

static inline int64_t floor_divided(int64_t a, int64_t b) /* b > 0 */
{
    int64_t whole = a / b;
    return whole - (whole * b > a);
}

PyObject *intervals(PyObject *module, PyObject *args);
PyObject *pop_mixture(PyObject *module, PyObject *args);
PyObject *linear_errors(PyObject *module, PyObject *args);
PyObject *linear_intervals(PyObject *module, PyObject *args);
PyObject *linear_pop(PyObject *module, PyObject *args);
PyObject *causal(PyObject *module, PyObject *args);
PyObject *causal_intervals(PyObject *module, PyObject *args);
PyObject *causal_pop(PyObject *module, PyObject *args);
PyObject *interpolate(PyObject *module, PyObject *args);
PyObject *neighbours(PyObject *module, PyObject *args);
PyObject *bisect(PyObject *module, PyObject *args);
PyObject *text_records(PyObject *module, PyObject *args);
PyObject *columns_nodes(PyObject *module, PyObject *args);
PyObject *columns_rows(PyObject *module, PyObject *args);
