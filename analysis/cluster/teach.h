/*
 * Which images to ask people about next, so that few labels tell most: until two groups have labels, images that are
 * typical of different clusters (TypiClust, Hacohen, Dekel, Weinshall 2022: at few labels typical images teach more
 * than uncertain ones); then, in turn, the image most surely of the group with the fewest labels, so that rare groups
 * get theirs, and the image that is hardest to tell (smallest margin, Scheffer, Decomain, Wrobel 2001). While a group
 * has no label at all, one of three is an image that is like no other group: the largest entropy.
 */
#ifndef EK_CLUSTER_TEACH_H
#define EK_CLUSTER_TEACH_H

#include <stddef.h>
#include <stdint.h>

enum {
	EK_TEACH_OPEN = -1, /* nothing is said of it */
	EK_TEACH_LEFT = -2  /* it is labelled, but teaches no group: of none of them, or disputed */
};

struct ek_teach_pick {
	size_t row;
	int32_t group; /* that it is taken for, or -1 */
	double sure;   /* probability of that, [0, 1]; 0 with none */
};

/*
 * Features as classes see them: x [count, d] float32 becomes rows of unit length about their mean. Results of both
 * functions do not depend on threads.
 */
void ek_teach_prepare(float *x, size_t count, size_t d);

/* typical: [count] out, one row after the other from each cluster, those next to the centroids first. distance: [count]
 * to a row's centroid. EK_ENOMEM. */
int ek_teach_typical(uint32_t *typical, const int32_t *cluster, const float *distance, size_t count);

/*
 * Pick up to `most` open rows: `*found` of them. said: [count], the group of each row, below `groups`, or EK_TEACH_….
 * typical: [count], all rows, the most typical of different clusters first. A row is taken for the group whose labelled
 * rows have the nearest mean (nearest class mean; probabilities by a softmax of cosines over 0.1). EK_ENOMEM.
 */
int ek_teach(struct ek_teach_pick *out, size_t most, size_t *found, const float *x, size_t count, size_t d,
             const int32_t *said, size_t groups, const uint32_t *typical);

/*
 * In search of one group: up to `most` open rows that are likeliest of `group`, each with the group that it is taken
 * for. passed: [count] 1 where a row was passed over in this search: these do not come again, and what is like them is
 * less likely. A group without a labelled row is looked for where the probabilities of all others are the evenest, by
 * their entropy, and away from what was passed over: less twice the largest cosine with such a row. EK_ENOMEM.
 */
int ek_teach_search(struct ek_teach_pick *out, size_t most, size_t *found, const float *x, size_t count, size_t d,
                    const int32_t *said, size_t groups, size_t group, const uint8_t *passed);

#endif
