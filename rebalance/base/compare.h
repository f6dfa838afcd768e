/* Orders for qsort and bsearch: of arrays of numbers, rising (none may be NaN), and of arrays of strings by their
 * bytes. */
#ifndef EK_BASE_COMPARE_H
#define EK_BASE_COMPARE_H

int ek_compare_doubles(const void *a, const void *b);
int ek_compare_floats(const void *a, const void *b);
int ek_compare_u32(const void *a, const void *b);
int ek_compare_u64(const void *a, const void *b);
int ek_compare_i64(const void *a, const void *b);
/* a, b: char *const * */
int ek_compare_texts(const void *a, const void *b);

#endif
