/* Which of the formats that a target reads is meant: EVENKEEL_FUZZ_ONLY=webp fuzz_image … gives one of them all of the
 * time. Without it every format is. */
#ifndef EK_FUZZ_ONLY_H
#define EK_FUZZ_ONLY_H

#include <stdlib.h>
#include <string.h>

static inline int ek_fuzz_wants(const char *format)
{
	const char *only = getenv("EVENKEEL_FUZZ_ONLY");

	return only == NULL || strcmp(only, format) == 0;
}

#endif
