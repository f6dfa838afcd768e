/*
 * Ranges: where numbers of an attribute are cut, as somebody asked for. RUN/ranges.json, {"age": [0, 10, 20, 40]}:
 * lists rise and hold a number at least; each number begins a range, the first range is all below.
 */
#ifndef EK_IO_RANGES_H
#define EK_IO_RANGES_H

#include "rebalance/base/json.h"
#include "rebalance/io/run.h"

/* Add "age=0,10,20" to an object of ranges, in the place of an earlier one of that name; "age=" takes that away. The
 * name may itself hold "=". EK_EUSAGE says what is wrong. */
int ek_ranges_add(cJSON *ranges, const char *text);

/* `*out` = what RUN/ranges.json says, to be deleted; NULL: there is none. EK_EDATA, EK_EIO, EK_ENOMEM. */
int ek_ranges_load(cJSON **out, const struct ek_run *run);
/* Write it; not where neither the file is there nor `ranges` (NULL: none) says anything. */
int ek_ranges_save(const struct ek_run *run, const cJSON *ranges);

#endif
