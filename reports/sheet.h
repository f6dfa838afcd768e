/* Image sheets: many small pictures as one PNG. */
#ifndef EK_REPORTS_SHEET_H
#define EK_REPORTS_SHEET_H

#include <stdint.h>

/*
 * Write `count` pictures of side × side pixels, row after row of `columns`, with a gap between them, enlarged by a
 * whole number so that each is at least 56 pixels wide. pixels: [count, side, side, 3], in. Atomic. EK_EIO, EK_ENOMEM.
 */
int ek_sheet_write(const char *path, const uint8_t *pixels, uint64_t count, uint32_t side, uint32_t columns);

#endif
