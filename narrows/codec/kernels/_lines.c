/* The rows of images that a causal network sees. */

#include "_lines.h"

#include <stdlib.h>

#define NEVER INT32_MIN /* a row or column before all others */

static size n_used(const int32_t *window, size n_inputs)
{
    size n = 0;
    while (n < n_inputs && window[3 * n + 2] != -1)
        n++;
    return n;
}

int is_window(const int32_t *window, size n_inputs, int64_t channels)
{
    int right = 1;
    size n = n_used(window, n_inputs);
    for (size k = 0; k < n_inputs; k++) {
        const int32_t *input = window + 3 * k;
        if (k < n)
            right = right && input[0] <= 0 && input[0] >= -MOST_REACH && input[1] <= MOST_REACH &&
                    input[1] >= -MOST_REACH && input[2] >= 0 && input[2] < channels;
        else
            right = right && input[2] == -1;
    }
    return right;
}

/* Set the pieces of a window. */
static void find_pieces(Lines *lines, const int32_t *window, size n_inputs)
{
    lines->n_pieces = 0;
    for (size k = 0; k < n_used(window, n_inputs); k++) {
        int64_t up = -(int64_t)window[3 * k], start = window[3 * k + 1] * lines->channels + window[3 * k + 2];
        Piece *last = lines->pieces + lines->n_pieces - 1;
        if (lines->n_pieces && last->up == up && last->start + last->length == start)
            last->length++;
        else
            lines->pieces[lines->n_pieces++] = (Piece){.up = up, .start = start, .length = 1};
    }
}

int take_lines(Lines *lines, const int32_t *window, size n_inputs, size n, int64_t height, int64_t width,
               int64_t channels)
{
    *lines = (Lines){.n = n, .width = width, .channels = channels};
    for (size k = 0; k < n_inputs; k++) {
        int64_t up = -(int64_t)window[3 * k], aside = window[3 * k + 1];
        lines->up = up > lines->up ? up : lines->up;
        aside = aside < 0 ? -aside : aside;
        lines->aside = aside > lines->aside ? aside : lines->aside;
    }
    lines->margin = lines->aside * channels;
    lines->n_slots = (lines->up < height ? lines->up : height - 1) + 1;
    lines->row_length = width * channels + 2 * lines->margin;
    lines->image_length = (lines->n_slots + 1) * lines->row_length + PIECE;
    lines->pieces = malloc((size_t)(n_inputs + 1) * sizeof(Piece));
    lines->values = calloc((size_t)(n * lines->image_length) + PIECE, 2);
    lines->rows = malloc((size_t)(n * width + 1) * 8);
    lines->columns = malloc((size_t)(n + 1) * 8);
    if (!lines->pieces || !lines->values || !lines->rows || !lines->columns)
        return 0;
    find_pieces(lines, window, n_inputs);
    for (size i = 0; i < n * width; i++)
        lines->rows[i] = NEVER;
    for (size i = 0; i < n; i++)
        lines->columns[i] = NEVER;
    return 1;
}

void free_lines(Lines *lines)
{
    free(lines->values);
    free(lines->pieces);
    free(lines->rows);
    free(lines->columns);
}

static size slot_of(const Lines *lines, int64_t row) { return row % lines->n_slots * lines->row_length; }

/* Extend the rectangles at the current pixel by a column. */
static void add_column(Lines *lines, int64_t column)
{
    if (column < lines->width)
        for (size i = 0; i < lines->n; i++)
            if (lines->rows[column * lines->n + i] >= lines->row - lines->up)
                lines->columns[i] = column;
}

static void start_row(Lines *lines)
{
    for (size i = 0; i < lines->n; i++) {
        memset(lines->values + i * lines->image_length + slot_of(lines, lines->row), 0, (size_t)lines->row_length * 2);
        lines->columns[i] = NEVER;
    }
    for (int64_t column = 0; column < lines->aside; column++)
        add_column(lines, column);
}

void lines_go(Lines *lines, int64_t position)
{
    int64_t of_row = lines->width * lines->channels, row = position / of_row, in_row = position % of_row;
    lines->row = row, lines->column = in_row / lines->channels;
    lines->next = slot_of(lines, row) + lines->margin + in_row;
    if (in_row == 0)
        start_row(lines);
    if (in_row % lines->channels == 0)
        add_column(lines, lines->column + lines->aside);
    for (Piece *piece = lines->pieces; piece < lines->pieces + lines->n_pieces; piece++) {
        size slot = piece->up > row ? lines->n_slots * lines->row_length : slot_of(lines, row - piece->up);
        piece->at = slot + lines->margin + lines->column * lines->channels + piece->start;
    }
}

void lines_fill(Lines *lines, const int16_t *values, int64_t position)
{
    int64_t of_row = lines->width * lines->channels, row = position / of_row;
    int64_t first = row >= lines->n_slots ? row - lines->n_slots + 1 : 0;
    for (int64_t at = first * of_row; at < position; at++) {
        lines_go(lines, at);
        for (size i = 0; i < lines->n; i++)
            lines_set(lines, i, values[at * lines->n + i]);
    }
}
