/* ek_parallel for work that may be too small for threads. */
#ifndef EK_CLUSTER_PIECES_H
#define EK_CLUSTER_PIECES_H

#include "rebalance/base/threads.h"

/* Below so much work there are no threads. */
#define EK_PIECES_WORK 4e6

/* As ek_parallel; `work` is about how many multiply-adds all pieces take
 * (ten for each number that is only read and added). Below some 4 million (a millisecond at most)
 * waking threads costs more than it saves, and the caller's thread does it all. */
static inline int ek_pieces(uint64_t count, int (*piece)(void *context, uint64_t i, int worker), void *context,
                            double work)
{
	int rc = 0;

	if (work >= EK_PIECES_WORK)
		return ek_parallel(count, piece, context);
	for (uint64_t i = 0; i < count && rc == 0; i++)
		rc = piece(context, i, 0);
	return rc;
}

#endif
