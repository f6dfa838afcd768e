/*
 * Eigenvalues of a large symmetric matrix: blocked Householder reflections bring it to a band, by products on all
 * threads; the band goes to tridiagonal form and that to eigenvalues in LAPACK (Bischof, Lang and Sun 2000). Straight
 * to tridiagonal form, half of the work would wait for memory.
 *
 * Column-major; of the matrix the columns of a panel, from the panel's first row down, are kept up to date.
 */
#include <stdlib.h>
#include <string.h>

#include "analysis/cluster/pieces.h"
#include "analysis/quality/block.h"
#include "analysis/quality/lapack.h"
#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"

enum { BAND = 32, PANEL = 256, WORK = BAND * 64 };

struct reduction {
	double *a; /* [n, n] */
	size_t n;
	size_t at, m; /* first row of what is left, and its number of rows */
	size_t width; /* reflections of this step, at most BAND */
	double *vw;   /* [m, 2 width]: reflections V, and W: what is left becomes itself - V W' - W V' */
	double *wv;   /* the same, W first */
	double *part; /* [panels, n, BAND]: what each panel gives to the product with V */
	double t[BAND * BAND], tau[BAND], work[WORK];
};

/* Columns `first` … end-1 of panel `i`, counted from row `at`. */
static void panel_of(const struct reduction *r, uint64_t i, size_t *first, size_t *end)
{
	const size_t begin = (r->at / PANEL + i) * PANEL;

	*first = begin > r->at ? begin - r->at : 0;
	*end = begin + PANEL < r->n ? begin + PANEL - r->at : r->m;
}

static size_t panels(const struct reduction *r)
{
	return (r->n + PANEL - 1) / PANEL - r->at / PANEL;
}

static void gemm(const char *ta, const char *tb, size_t m, size_t n, size_t k, double alpha, const double *a,
                 size_t lda, const double *b, size_t ldb, double beta, double *c, size_t ldc)
{
	const int size[] = { (int)m, (int)n, (int)k }, stride[] = { (int)lda, (int)ldb, (int)ldc };

	if (m > 0 && n > 0)
		dgemm_(ta, tb, &size[0], &size[1], &size[2], &alpha, a, &stride[0], b, &stride[1], &beta, c, &stride[2],
		       1, 1);
}

/* The panel, which stands for its mirror image as well, times V. */
static int multiply_panel(void *context, uint64_t i, int worker)
{
	const struct reduction *r = context;
	const int before = ek_blas_enter();
	double *out = r->part + i * r->n * BAND;
	const double *a;
	size_t first, end;

	(void)worker;
	panel_of(r, i, &first, &end);
	a = r->a + (r->at + first) * r->n + r->at;
	gemm("N", "N", r->m - first, r->width, end - first, 1, a + first, r->n, r->vw + first, r->m, 0, out + first,
	     r->m);
	gemm("T", "N", end - first, r->width, r->m - end, 1, a + end, r->n, r->vw + end, r->m, 1, out + first, r->m);
	ek_blas_leave(before);
	return 0;
}

static int update_panel(void *context, uint64_t i, int worker)
{
	const struct reduction *r = context;
	const int before = ek_blas_enter();
	size_t first, end;

	(void)worker;
	panel_of(r, i, &first, &end);
	gemm("N", "T", r->m - first, end - first, 2 * r->width, -1, r->vw + first, r->m, r->wv + first, r->m, 1,
	     r->a + (r->at + first) * r->n + r->at + first, r->n);
	ek_blas_leave(before);
	return 0;
}

/* Reflections that make the BAND columns before `at` a triangle below the band: I - V T V'. */
static int reflect(struct reduction *r)
{
	const int m = (int)r->m, columns = BAND, width = (int)r->width, n = (int)r->n, work = WORK, t = BAND;
	double *panel = r->a + (r->at - BAND) * r->n + r->at;
	int info;

	dgeqrf_(&m, &columns, panel, &n, r->tau, r->work, &work, &info);
	for (size_t j = 0; j < r->width; j++) {
		double *v = r->vw + j * r->m;

		memset(v, 0, j * sizeof *v);
		v[j] = 1;
		memcpy(v + j + 1, panel + j * r->n + j + 1, (r->m - j - 1) * sizeof *v);
	}
	dlarft_("F", "C", &m, &width, r->vw, &m, r->tau, r->t, &t, 1, 1);
	for (size_t j = 0; j < r->width; j++)
		for (size_t i = j + 1; i < r->width; i++)
			r->t[j * BAND + i] = 0;
	return info;
}

/* W = P - V S / 2 with P = (what is left) V T and S = T' V' P. */
static void make_w(struct reduction *r)
{
	const size_t m = r->m, k = r->width, size = m * k;
	double *v = r->vw, *w = r->vw + size, *sum = r->wv, small[2][BAND * BAND];

	memset(sum, 0, size * sizeof *sum);
	for (size_t i = 0; i < panels(r); i++) {
		const double *part = r->part + i * r->n * BAND;
		size_t first, end;

		panel_of(r, i, &first, &end);
		for (size_t j = 0; j < k; j++)
			for (size_t row = first; row < m; row++)
				sum[j * m + row] += part[j * m + row];
	}
	gemm("N", "N", m, k, k, 1, sum, m, r->t, BAND, 0, w, m);
	gemm("T", "N", k, k, m, 1, v, m, w, m, 0, small[0], BAND);
	gemm("T", "N", k, k, k, 1, r->t, BAND, small[0], BAND, 0, small[1], BAND);
	gemm("N", "N", m, k, k, -0.5, v, m, small[1], BAND, 1, w, m);
	memcpy(r->wv, w, size * sizeof *w);
	memcpy(r->wv + size, v, size * sizeof *v);
}

static int reduce(struct reduction *r)
{
	const int before = ek_blas_enter();
	int rc = 0;

	for (r->at = BAND; r->at < r->n && rc == 0; r->at += BAND) {
		r->m = r->n - r->at;
		r->width = r->m < BAND ? r->m : BAND;
		if (reflect(r) != 0)
			rc = ek_fail(EK_EDATA, "a matrix of %zu rows cannot be reduced: not finite?", r->n);
		if (rc == 0)
			rc = ek_pieces(panels(r), multiply_panel, r, (double)r->m * (double)r->m * BAND);
		if (rc < 0)
			break;
		make_w(r);
		rc = ek_pieces(panels(r), update_panel, r, (double)r->m * (double)r->m * BAND);
	}
	ek_blas_leave(before);
	return rc;
}

/* The diagonal and BAND below it, column by column. */
static void take_band(double *band, const double *a, size_t n)
{
	for (size_t j = 0; j < n; j++)
		for (size_t i = j; i < n && i <= j + BAND; i++)
			band[j * (BAND + 1) + i - j] = a[j * n + i];
}

int ek_block_eigenvalues(double *values, double *a, size_t size)
{
	struct reduction *r = NULL;
	double *band = NULL, *beside = NULL, *work = NULL, none = 0;
	const int n = (int)size, columns = BAND, stride = BAND + 1, one = 1, before = ek_blas_enter();
	int info = 0, rc;

	EK_TRY(ek_alloc(&r, 1, sizeof *r));
	*r = (struct reduction){ .a = a, .n = size };
	EK_TRY(ek_alloc_aligned(&r->vw, 2 * size * BAND, sizeof *r->vw));
	EK_TRY(ek_alloc_aligned(&r->wv, 2 * size * BAND, sizeof *r->wv));
	EK_TRY(ek_alloc_aligned(&r->part, (size / PANEL + 1) * size * BAND, sizeof *r->part));
	EK_TRY(ek_alloc(&band, size * (BAND + 1), sizeof *band));
	EK_TRY(ek_alloc(&beside, size, sizeof *beside));
	EK_TRY(ek_alloc(&work, size, sizeof *work));
	EK_TRY(reduce(r));
	take_band(band, a, size);
	dsbtrd_("N", "L", &n, &columns, band, &stride, values, beside, &none, &one, work, &info, 1, 1);
	if (info == 0)
		dsterf_(&n, values, beside, &info);
	if (info != 0)
		rc = ek_fail(EK_EDATA, "the eigenvalues of a %d x %d matrix were not found: not finite?", n, n);
out:
	ek_blas_leave(before);
	if (r != NULL) {
		free(r->vw);
		free(r->wv);
		free(r->part);
	}
	free(r);
	free(band);
	free(beside);
	free(work);
	return rc;
}
