/*
 * Circles of includes. A unit is a source, its header, and the header of its insides (a.c, a.h, a_internal.h); a unit
 * that includes itself by way of others is in a circle.
 */
#ifndef EK_TESTS_ARCH_CIRCLES_H
#define EK_TESTS_ARCH_CIRCLES_H

#include "rebalance/base/memory.h"

struct circles {
	char **units;
	int (*edges)[2]; /* numbers of units: who includes whom */
	int unit_count, edge_count;
};

/* The file `from` includes the file `to`. */
void circles_note(struct circles *c, const char *from, const char *to);
/* Append "circle of includes: a -> b -> a\n" for each circle, or some of those that share a unit. */
void circles_tell(const struct circles *c, struct ek_buffer *out);
void circles_release(struct circles *c);

#endif
