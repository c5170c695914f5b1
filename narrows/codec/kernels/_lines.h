/* The last rows of images, as far as they are decoded: the inputs of a causal network are pieces of them. */

#include "_kernels.h"

#define MOST_REACH 16 /* pixels */
#define PIECE 16      /* values that are copied together */

/* Some inputs that are adjacent in a row of an image. */
typedef struct {
    int64_t up, start; /* rows above the predicted pixel; offset of the first input from the pixel, in values */
    size length, at;   /* at: the offset of its row and pixel in the rows of an image, for the current position */
} Piece;

/* Rows of n images with margins of zeros. Row y is in the slot y modulo the number of slots. Values that are not known
   are 0; the last slot always is, for rows above the image.

   The rectangle of an image at a pixel has the columns up to `aside` away, and the rows up to `up` above. Its pixels that
   are not 0 are found in constant time: `rows` has, for each column of each image, the last row with such a pixel,
   and `columns`, for each image, the last column of the rectangle with such a pixel. */
typedef struct {
    int16_t *values;
    Piece *pieces;
    int64_t *rows, *columns; /* (width, n) and (n,) */
    size n, n_slots, n_pieces, margin, row_length, image_length;
    int64_t width, channels, up, aside;
    int64_t row, column; /* of the current position */
    size next;           /* its offset in the rows of an image */
} Lines;

/* Return whether a window of a network, down, right and channel of its inputs, is a window of preceding pixels; inputs
   with the channel -1, at its end, are 0. */
int is_window(const int32_t *window, size n_inputs, int64_t channels);

/* Allocate the rows of n images for a window; return whether there was enough memory. */
int take_lines(Lines *lines, const int32_t *window, size n_inputs, size n, int64_t height, int64_t width,
               int64_t channels);
void free_lines(Lines *lines);

/* Go to a position: the next one, or any one after `lines_fill` for it. */
void lines_go(Lines *lines, int64_t position);

/* Set the rows that the inputs from a position on are in; values: (positions, n). */
void lines_fill(Lines *lines, const int16_t *values, int64_t position);

/* Set the value of image i at the current position. */
static inline void lines_set(Lines *lines, size i, int16_t value)
{
    lines->values[i * lines->image_length + lines->next] = value;
    if (value) {
        lines->rows[lines->column * lines->n + i] = lines->row;
        if (lines->columns[i] < lines->column)
            lines->columns[i] = lines->column;
    }
}

/* Return whether all inputs of image i at the current position are 0. */
static inline int lines_are_zero(const Lines *lines, size i) { return lines->columns[i] < lines->column - lines->aside; }

/* Copy the inputs of image i at the current position to x, with PIECE zeros or more after them. x has room for 2 PIECE
   more. */
static inline void lines_inputs(const Lines *lines, size i, size n_inputs, int16_t *x)
{
    const int16_t *rows = lines->values + i * lines->image_length;
    int16_t *to = x;
    for (const Piece *piece = lines->pieces; piece < lines->pieces + lines->n_pieces; piece++) {
        for (size done = 0; done < piece->length; done += PIECE) /* beyond its end, which is overwritten */
            memcpy(to + done, rows + piece->at + done, 2 * PIECE);
        to += piece->length;
    }
    for (; to < x + n_inputs + PIECE; to += PIECE)
        memset(to, 0, 2 * PIECE);
}
