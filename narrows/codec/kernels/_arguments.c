/* The arguments of the kernels, parsed and checked in order. */

#include "_kernels.h"

/* Indexed by Dtype. The letters are those of Python's struct module; a long has four or eight bytes. */
static const struct {
    const char *name, *letters;
    size n_bytes;
} DTYPES[] = {
    {"bool", "?", 1},    {"int8", "b", 1},    {"uint8", "B", 1},   {"int16", "h", 2},  {"uint16", "H", 2},
    {"int32", "il", 4},  {"uint32", "IL", 4}, {"int64", "lq", 8},  {"float64", "d", 8},
};

static PyObject *next_argument(Arguments *a, const char *name)
{
    if (a->failed)
        return NULL;
    if (a->at < PyTuple_Size(a->args))
        return PyTuple_GetItem(a->args, a->at++);
    PyErr_Format(PyExc_TypeError, "%s: '%s' is missing", a->function, name);
    a->failed = 1;
    return NULL;
}

static int has_dtype(const Py_buffer *b, Dtype dtype)
{
    const char *format = b->format ? b->format : "B";
    if (*format == '@' || *format == '=')
        format++;
    return *format && !format[1] && strchr(DTYPES[dtype].letters, *format) && b->itemsize == DTYPES[dtype].n_bytes;
}

void *array(Arguments *a, const char *name, Dtype dtype, Access access, size *n)
{
    PyObject *given = next_argument(a, name);
    Py_buffer *b = &a->buffers[a->n_buffers];
    *n = 0;
    if (!given)
        return NULL;
    a->failed = 1;
    if (PyObject_GetBuffer(given, b, PyBUF_FULL_RO) < 0) {
        PyErr_Clear();
        PyErr_Format(PyExc_TypeError, "%s: '%s' must be an array of %s", a->function, name, DTYPES[dtype].name);
        return NULL;
    }
    a->n_buffers++;
    if (!has_dtype(b, dtype))
        PyErr_Format(PyExc_TypeError, "%s: '%s' must be an array of %s. Got numbers of %zd bytes in the format '%s'",
                     a->function, name, DTYPES[dtype].name, b->itemsize, b->format ? b->format : "B");
    else if (!PyBuffer_IsContiguous(b, 'C'))
        PyErr_Format(PyExc_ValueError, "%s: '%s' must be contiguous, in C order", a->function, name);
    else if (access == WRITTEN && b->readonly)
        PyErr_Format(PyExc_ValueError, "%s: '%s' must be writable", a->function, name);
    else
        a->failed = 0;
    *n = b->len / DTYPES[dtype].n_bytes;
    return b->buf;
}

static int64_t as_integer(Arguments *a, PyObject *given)
{
    int64_t value = given ? PyLong_AsLongLong(given) : 0;
    a->failed = a->failed || (value == -1 && PyErr_Occurred());
    return value;
}

int64_t integer(Arguments *a, const char *name) { return as_integer(a, next_argument(a, name)); }

void integers(Arguments *a, const char *name, int64_t *values, size n)
{
    PyObject *given = next_argument(a, name);
    if (given && !(PyTuple_Check(given) && PyTuple_Size(given) == n)) {
        PyErr_Format(PyExc_TypeError, "%s: '%s' must be a tuple of %zd integers", a->function, name, n);
        a->failed = 1;
    }
    for (size i = 0; i < n; i++)
        values[i] = a->failed ? 0 : as_integer(a, PyTuple_GetItem(given, i));
}

int is_complete(Arguments *a)
{
    if (!a->failed && a->at < PyTuple_Size(a->args)) {
        PyErr_Format(PyExc_TypeError, "%s: takes %zd arguments. Got %zd", a->function, a->at, PyTuple_Size(a->args));
        a->failed = 1;
    }
    if (a->failed)
        release(a);
    return !a->failed;
}

void release(Arguments *a)
{
    while (a->n_buffers)
        PyBuffer_Release(&a->buffers[--a->n_buffers]);
}

PyObject *refuse(Arguments *a, const char *why)
{
    release(a);
    PyErr_Format(PyExc_ValueError, "%s: %s", a->function, why);
    return NULL;
}
