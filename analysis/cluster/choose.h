/*
 * How many clusters? The number that comes out again: k-means is run for a list of K from several seeds, and the
 * partitions of each K are compared.
 *
 * Rule: the candidates are 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, as far as there are 30 images for each cluster;
 * for each, 5 seeds (the best of 3 starts each) on the same images, at most 10,000 drawn by seed; its stability is the
 * mean ARI over the 10 pairs. Chosen is the largest K whose stability is at least 0.95 of the best one's: as many
 * clusters as can be told apart about as reliably. Where no candidate is left, as many as images differ, up to 4.
 *
 * The default is cheaper, and asks for less than the best: on 2,000 images, in their first 64 principal components,
 * the largest of the candidates up to 24 (the paper's number) whose stability over 4 seeds (2 starts, 20 iterations) is
 * at least 0.8 ("stable" in stability.h); where there is none, the one that is best.
 */
#ifndef EK_CLUSTER_CHOOSE_H
#define EK_CLUSTER_CHOOSE_H

#include "analysis/cluster/rows.h"

enum { EK_CHOOSE_MOST = 16, EK_CHOOSE_DEFAULT = 24 };

struct ek_choice_of_k {
	uint32_t chosen;
	char reason[256]; /* one sentence */
	uint64_t images;  /* looked at */
	size_t count;     /* candidates */
	struct {
		uint32_t k;
		double stability; /* mean pairwise ARI */
		double inertia;   /* the smallest of the seeds', over the images looked at */
	} curve[EK_CHOOSE_MOST];
};

/* Errors as ek_kmeans. The same for any number of threads. */
int ek_choose_k(struct ek_choice_of_k *out, const struct ek_rows *rows, int spherical, uint64_t seed);
/* The default number. Errors as above. */
int ek_choose_default_k(struct ek_choice_of_k *out, const struct ek_rows *rows, int spherical, uint64_t seed);

#endif
