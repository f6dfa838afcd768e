/*
 * Greedy methods of prune, on the embeddings as they were clustered (clusters.json: normalise; without it
 * EK_NORMALISE_AUTO), in Euclidean distance: of every unit as many as its quota, one after the other, each in a pass
 * over the unit. So the work is images x images kept x dimensions of each unit; what takes more than a minute is told
 * before it starts. The first is the image nearest to the unit's mean.
 */
#ifndef EK_PLAN_GREEDY_H
#define EK_PLAN_GREEDY_H

#include "rebalance/plan/embedded.h"

/* k-centre (Sener and Savarese 2018): the next is the image furthest from all that were taken. */
ek_embedded_method ek_greedy_k_centre;
/* Herding (Welling 2009): the next, with i taken, is the image nearest to (i + 1) mean - their sum. */
ek_embedded_method ek_greedy_herding;

#endif
