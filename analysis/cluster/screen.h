/*
 * Screens for nearest.c: approximate squared distances of a block of rows to all centroids. nearest.h has the theory.
 */
#ifndef EK_CLUSTER_SCREEN_H
#define EK_CLUSTER_SCREEN_H

#include <stddef.h>
#include <stdint.h>

enum { EK_CANDIDATES = 16 };

/* What a screen tells of one row. */
struct ek_screened {
	float best, second; /* the two smallest s; infinity where there are fewer centroids */
	float own;          /* s of the centroid the row has, or infinity if not known */
	float limit;        /* every centroid with a smaller s is a candidate */
	int32_t count;      /* candidates; -1: more than fit, measure all */
	int32_t index[EK_CANDIDATES];
	float s[EK_CANDIDATES];
};

/* FAISS's flat search on float32, all threads at once, called from one thread. */
struct ek_screen_faiss;
int ek_screen_faiss_new(struct ek_screen_faiss **out, size_t d, size_t most_rows);
void ek_screen_faiss_free(struct ek_screen_faiss *screen);
/* centroids: [k, d] float32, copied */
int ek_screen_faiss_set(struct ek_screen_faiss *screen, const float *centroids, size_t k);
/* rows: [count, d] float32, count <= most_rows; out: [count]. Of each row the nearest few centroids are candidates. */
int ek_screen_faiss_run(struct ek_screen_faiss *screen, struct ek_screened *out, const float *rows, size_t count);

#endif
