/* The kernels of tables: cells of text are found, read as numbers or categories, written and compared.
   Each computes what the NumPy code in kernels.py computes. A cell is the bytes from its start up to its end. */

#include "../../codec/kernels/_kernels.h"

enum { COMPLETE, RAGGED, UNCLOSED, OTHER_NEWLINE };
enum { HAS_POINT = 1, LEADING_ZERO = 2, NO_WHOLE = 4, NEGATIVE_ZERO = 8, TRAILING_ZERO = 16 };

#define MOST_DIGITS 18

/* Return the end of the cell that starts at i: the place of its delimiter or line feed, stop at the end of the data,
   or -1 if its quote is never closed. */
static size end_of_cell(const uint8_t *data, size i, size stop, uint8_t delimiter, int quote)
{
    if (i < stop && data[i] == quote) {
        for (i++;; i += 2) {
            const uint8_t *found = memchr(data + i, quote, (size_t)(stop - i));
            if (!found)
                return -1;
            i = found - data;
            if (i + 1 >= stop || data[i + 1] != quote)
                break;
        }
        i++;
    }
    while (i < stop && data[i] != delimiter && data[i] != '\n')
        i++;
    return i;
}

/* fields(data, start, delimiter, quote, has_returns, n_columns, starts, ends, found): find the cells of rows from a
   start on, until the arrays are full. found becomes (rows, place after them, status, cells of the last row). A quote
   of -1 means none; with has_returns, rows end with CR LF. */
static PyObject *fields(PyObject *module, PyObject *args)
{
    Arguments a = {.function = "fields", .args = args};
    size stop, room, n_ends, n_found, n = 0, column = 0;
    const uint8_t *data = array(&a, "data", UINT8S, READ, &stop);
    int64_t at = integer(&a, "start"), delimiter = integer(&a, "delimiter"), quote = integer(&a, "quote");
    int64_t has_returns = integer(&a, "has_returns"), n_columns = integer(&a, "n_columns");
    int64_t *starts = array(&a, "starts", INT64S, WRITTEN, &room);
    int64_t *ends = array(&a, "ends", INT64S, WRITTEN, &n_ends);
    int64_t *found = array(&a, "found", INT64S, WRITTEN, &n_found);
    int status = COMPLETE;
    (void)module;
    if (!is_complete(&a))
        return NULL;
    if (at < 0 || at > stop || n_columns < 1 || n_ends != room || n_found != 4)
        return refuse(&a, "inconsistent sizes");
    Py_BEGIN_ALLOW_THREADS
    size i = at;
    while (i < stop && (n + 1) * n_columns <= room && status == COMPLETE) {
        for (column = 0;; column++) {
            size end = end_of_cell(data, i, stop, (uint8_t)delimiter, (int)quote);
            int is_last = end < 0 || end == stop || data[end] == '\n';
            if (end < 0) {
                status = UNCLOSED;
                break;
            }
            size text_end = end;
            if (is_last && has_returns && end < stop) {
                if (end > i && data[end - 1] == '\r')
                    text_end = end - 1;
                else
                    status = OTHER_NEWLINE;
            }
            if (column < n_columns)
                starts[n * n_columns + column] = i, ends[n * n_columns + column] = text_end;
            i = end + 1;
            if (is_last) {
                if (column + 1 != n_columns)
                    status = RAGGED;
                break;
            }
        }
        if (status == COMPLETE)
            n++, at = i < stop ? i : stop;
    }
    Py_END_ALLOW_THREADS
    found[0] = n, found[1] = at, found[2] = status, found[3] = column + 1;
    release(&a);
    Py_RETURN_NONE;
}

static int read_number(const uint8_t *c, const uint8_t *end, int64_t *value, uint8_t *style)
{
    int is_negative = c < end && *c == '-', n = 0, digits = 0, n_point = 0;
    int64_t sum = 0;
    *style = 0, *value = 0;
    c += is_negative;
    const uint8_t *whole = c;
    for (; c < end; c++) {
        if (*c == '.') {
            if (n_point++)
                return -1;
            *style |= HAS_POINT;
            if (c == whole)
                *style |= NO_WHOLE;
            else if (*whole == '0' && c - whole > 1)
                *style |= LEADING_ZERO;
        } else if (*c >= '0' && *c <= '9') {
            if (++n > MOST_DIGITS)
                return -1;
            sum = 10 * sum + (*c - '0');
            digits += n_point;
        } else
            return -1;
    }
    if (!n)
        return -1;
    if (!n_point && *whole == '0' && c - whole > 1)
        *style |= LEADING_ZERO;
    if (digits && c[-1] == '0')
        *style |= TRAILING_ZERO;
    if (is_negative && !sum)
        *style |= NEGATIVE_ZERO;
    *value = is_negative ? -sum : sum;
    return digits;
}

/* Parse the arguments data, starts, ends, and check that all cells are inside the data. */
static const uint8_t *cells(Arguments *a, const int64_t **starts, const int64_t **ends, size *n)
{
    size n_data, n_ends;
    const uint8_t *data = array(a, "data", UINT8S, READ, &n_data);
    *starts = array(a, "starts", INT64S, READ, n);
    *ends = array(a, "ends", INT64S, READ, &n_ends);
    if (a->failed)
        return NULL;
    int wrong = n_ends != *n;
    for (size i = 0; i < *n && !wrong; i++)
        wrong = (*starts)[i] < 0 || (*ends)[i] < (*starts)[i] || (*ends)[i] > n_data;
    if (wrong) {
        PyErr_Format(PyExc_ValueError, "%s: cells are outside the data", a->function);
        a->failed = 1;
    }
    return data;
}

/* numbers(data, starts, ends, values, digits, styles): read cells as numbers without their point; digits becomes the
   number of digits after it, or -1 if a cell is no number of up to 18 digits. */
static PyObject *numbers(PyObject *module, PyObject *args)
{
    Arguments a = {.function = "numbers", .args = args};
    size n, n_values, n_digits, n_styles;
    const int64_t *starts, *ends;
    const uint8_t *data = cells(&a, &starts, &ends, &n);
    int64_t *values = array(&a, "values", INT64S, WRITTEN, &n_values);
    int8_t *digits = array(&a, "digits", INT8S, WRITTEN, &n_digits);
    uint8_t *styles = array(&a, "styles", UINT8S, WRITTEN, &n_styles);
    (void)module;
    if (!is_complete(&a))
        return NULL;
    if (n_values != n || n_digits != n || n_styles != n)
        return refuse(&a, "inconsistent sizes");
    Py_BEGIN_ALLOW_THREADS
    for (size i = 0; i < n; i++) {
        digits[i] = (int8_t)read_number(data + starts[i], data + ends[i], values + i, styles + i);
        if (digits[i] < 0)
            values[i] = 0, styles[i] = 0;
    }
    Py_END_ALLOW_THREADS
    release(&a);
    Py_RETURN_NONE;
}

/* ids(data, starts, ends, most, table, ids, firsts) -> number of different cells, or -1 if more than most: number the
   different cells in the order of their first ones. The table has a power of two of places, over twice the most. */
static PyObject *ids(PyObject *module, PyObject *args)
{
    Arguments a = {.function = "ids", .args = args};
    size n, n_table, n_ids, n_firsts, n_found = 0;
    const int64_t *starts, *ends;
    const uint8_t *data = cells(&a, &starts, &ends, &n);
    int64_t most = integer(&a, "most");
    int64_t *table = array(&a, "table", INT64S, WRITTEN, &n_table);
    int64_t *numbered = array(&a, "ids", INT64S, WRITTEN, &n_ids);
    int64_t *firsts = array(&a, "firsts", INT64S, WRITTEN, &n_firsts);
    (void)module;
    if (!is_complete(&a))
        return NULL;
    if (most < 1 || n_table & (n_table - 1) || n_table <= 2 * most || n_ids != n || n_firsts < most)
        return refuse(&a, "inconsistent sizes");
    Py_BEGIN_ALLOW_THREADS
    for (size i = 0; i < n_table; i++)
        table[i] = -1;
    for (size i = 0; i < n; i++) {
        const uint8_t *cell = data + starts[i];
        size length = ends[i] - starts[i];
        uint64_t hash = 0xCBF29CE484222325u;
        for (size j = 0; j < length; j++)
            hash = (hash ^ cell[j]) * 0x100000001B3u;
        size place = (size)((hash ^ hash >> 29) & (uint64_t)(n_table - 1));
        for (; table[place] >= 0; place = (place + 1) & (n_table - 1)) {
            size first = firsts[table[place]];
            if (ends[first] - starts[first] == length && !memcmp(data + starts[first], cell, (size_t)length))
                break;
        }
        if (table[place] < 0) {
            if (n_found == most) {
                n_found = -1;
                break;
            }
            table[place] = n_found, firsts[n_found++] = i;
        }
        numbered[i] = table[place];
    }
    Py_END_ALLOW_THREADS
    release(&a);
    return PyLong_FromSsize_t(n_found);
}

/* Write a number with digits after its point; strip removes zeros at the end until `least` digits are left. */
static uint8_t *write_number(uint8_t *to, int64_t value, int digits, int least, int width)
{
    uint8_t text[24];
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    int n = 0, from = 0;
    while (rest || n <= digits || n < width) {
        text[n++] = (uint8_t)('0' + rest % 10);
        rest /= 10;
    }
    while (from < digits - least && text[from] == '0')
        from++;
    if (value < 0)
        *to++ = '-';
    while (n > from) {
        if (n == digits)
            *to++ = '.';
        *to++ = text[--n];
    }
    return to;
}

/* write(values, digits, least, width, text, ends): write numbers one after the other. At least `least` of the digits
   after the point are kept; whole numbers have at least width digits. The text has 24 bytes for each. */
static PyObject *write_numbers(PyObject *module, PyObject *args)
{
    Arguments a = {.function = "write", .args = args};
    size n, room, n_ends;
    const int64_t *values = array(&a, "values", INT64S, READ, &n);
    int64_t digits = integer(&a, "digits"), least = integer(&a, "least"), width = integer(&a, "width");
    uint8_t *text = array(&a, "text", UINT8S, WRITTEN, &room);
    int64_t *ends = array(&a, "ends", INT64S, WRITTEN, &n_ends);
    (void)module;
    if (!is_complete(&a))
        return NULL;
    if (room < 24 * n || n_ends != n || digits < 0 || digits > MOST_DIGITS || least < 0 || least > digits || width < 0 ||
        width > 20)
        return refuse(&a, "inconsistent sizes");
    Py_BEGIN_ALLOW_THREADS
    uint8_t *to = text;
    for (size i = 0; i < n; i++) {
        to = write_number(to, values[i], (int)digits, (int)least, (int)width);
        ends[i] = to - text;
    }
    Py_END_ALLOW_THREADS
    release(&a);
    Py_RETURN_NONE;
}

/* scatter(data, starts, ends, places, out): copy each cell to its place. */
static PyObject *scatter(PyObject *module, PyObject *args)
{
    Arguments a = {.function = "scatter", .args = args};
    size n, n_places, room;
    const int64_t *starts, *ends;
    const uint8_t *data = cells(&a, &starts, &ends, &n);
    const int64_t *places = array(&a, "places", INT64S, READ, &n_places);
    uint8_t *out = array(&a, "out", UINT8S, WRITTEN, &room);
    (void)module;
    if (!is_complete(&a))
        return NULL;
    int wrong = n_places != n;
    Py_BEGIN_ALLOW_THREADS
    for (size i = 0; i < n && !wrong; i++) {
        size length = ends[i] - starts[i];
        wrong = places[i] < 0 || length > room - places[i];
        if (!wrong)
            memcpy(out + places[i], data + starts[i], (size_t)length);
    }
    Py_END_ALLOW_THREADS
    if (wrong)
        return refuse(&a, "cells are outside the output");
    release(&a);
    Py_RETURN_NONE;
}

/* differ(data, starts, ends, data, starts, ends, out): whether cells differ from others. */
static PyObject *differ(PyObject *module, PyObject *args)
{
    Arguments a = {.function = "differ", .args = args};
    size n, n_others, n_out;
    const int64_t *starts, *ends, *other_starts, *other_ends;
    const uint8_t *data = cells(&a, &starts, &ends, &n);
    const uint8_t *other = cells(&a, &other_starts, &other_ends, &n_others);
    uint8_t *out = array(&a, "out", BOOLS, WRITTEN, &n_out);
    (void)module;
    if (!is_complete(&a))
        return NULL;
    if (n_others != n || n_out != n)
        return refuse(&a, "inconsistent sizes");
    Py_BEGIN_ALLOW_THREADS
    for (size i = 0; i < n; i++) {
        size length = ends[i] - starts[i];
        out[i] = length != other_ends[i] - other_starts[i] ||
                 memcmp(data + starts[i], other + other_starts[i], (size_t)length) != 0;
    }
    Py_END_ALLOW_THREADS
    release(&a);
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"fields", fields, METH_VARARGS, NULL},   {"numbers", numbers, METH_VARARGS, NULL},
    {"ids", ids, METH_VARARGS, NULL},         {"write", write_numbers, METH_VARARGS, NULL},
    {"scatter", scatter, METH_VARARGS, NULL}, {"differ", differ, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "_cells", NULL, 0, methods, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__cells(void) { return PyModuleDef_Init(&definition); }
