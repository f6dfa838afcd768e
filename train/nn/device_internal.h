/* What a device is: memory, a column of the operators (op.h) and of the store. Internal to train/nn. */
#ifndef EK_NN_DEVICE_INTERNAL_H
#define EK_NN_DEVICE_INTERNAL_H

#include <stddef.h>
#include <stdint.h>

#include "train/nn/device.h"
#include "train/nn/op.h"

struct ek_codebook;
struct ek_move;
struct ek_net;
struct ek_net_code;
struct ek_net_op;
struct ek_net_state;
struct ek_samples;
struct ek_store;

struct ek_device {
	const char *name;
	int is_host;   /* its memory is the host's: what is staged is where it lies, nothing is copied */
	int has_parts; /* convolutions and pools write their results to where these lie in a joined value */
	/* Can this product add what it gives, times the gate, to what the modulation adds that to? NULL: none can. */
	int (*can_gate)(const struct ek_net *net, const struct ek_net_op *product, const struct ek_net_op *modulation);
	int one_at_a_time; /* one slice after another, each on all of the device */
	int (*has_bf16)(void);
	uint64_t (*available)(void);
	/* Zeros, aligned to 64 bytes. EK_ENOMEM. */
	int (*alloc)(void **out, size_t bytes);
	void (*release)(void *memory); /* or NULL */
	/* Memory of the host's that copies are fast from and to; a copy from it may go on after `upload` until
	 * `settle`. EK_ENOMEM. */
	int (*alloc_host)(void **out, size_t bytes);
	void (*release_host)(void *memory); /* or NULL */
	void (*settle)(void);
	void (*upload)(void *to, const void *host, size_t bytes);
	void (*download)(void *host, const void *from, size_t bytes);
	void (*copy)(void *to, const void *from, size_t bytes); /* within its memory */
	void (*zero)(void *to, size_t bytes);
	/* 0, or what one of these or a layer has met since; NULL: they cannot fail. */
	int (*check)(void);
	/* A layer's own things: made and freed with the net, and with each of its states (*out, NULL before). */
	int (*prepare)(struct ek_net *net, struct ek_net_op *op);
	void (*unprepare)(struct ek_net_op *op);
	int (*attach)(struct ek_net_state *s, const struct ek_net_op *op, void **out);
	void (*detach)(void *attached);
	/* Before a thread runs layers, and after, with what `enter` gave. */
	int (*enter)(void);
	void (*leave)(int before);
	/* Run steps first … end - 1 of the plan, by `steps` or as they were when that ran before (s->recorded, to be
	 * forgotten with the state). NULL: `steps`. */
	int (*run)(struct ek_net_state *s, int first, int end,
	           int (*steps)(struct ek_net_state *s, int first, int end));
	void (*forget)(void *recorded);
	/* All layers of a net have loaded. NULL: nothing to do then. */
	int (*loaded)(void);
	const struct ek_net_code *codes[EK_NET_KIND_COUNT]; /* NULL: the device does not have it */
	/* Of the store (store_internal.h): sum [count] += x; the sum of the gradients' squares, in a fixed order; a
	 * step over all pieces with its factors, the gradients clipped to the norm `clip`, if that is not 0, after
	 * which they are 0; begun, and in `stepped` waited for; *sum: that of their squares before: if it is not
	 * finite, nothing is done. */
	void (*add)(float *sum, const float *x, size_t count);
	int (*sum_squares)(struct ek_store *s, double *sum);
	int (*step)(struct ek_store *s, double clip);
	/* A step of a codebook (codebook_internal.h) over the latents that backward of quantise noted, turn by turn:
	 * codes, average [codes, width], in and out. NULL: there are none. */
	int (*move_codes)(struct ek_codebook *c, uint64_t step, float *codes, float *average);
	/* Of samples (samples.h). */
	int (*move)(const struct ek_samples *s, const struct ek_move *move);
	int (*normals)(const struct ek_samples *s, double *out, uint64_t stream, uint64_t step);
	int (*stepped)(const struct ek_store *s, double *sum); /* waits for `step` */
	/* Copies beside what the device works at, for one whose memory is not the host's. A copy from the host goes
	 * on until `arrived`; work that is begun between `receive` and `received` finds it, and only when that is done
	 * the next one is copied. A copy to the host is of what is there after the work so far; it is whole after
	 * `landed`. */
	void (*send)(void *to, const void *host, size_t bytes);
	void (*arrived)(void);
	void (*receive)(void);
	void (*received)(void);
	void (*fetch)(void *host, const void *from, size_t bytes);
	void (*landed)(void);
	/* `download` without waiting, of which there may be many; `*arrival`, NULL before the first time, says whether
	 * it is there, and waiting for it keeps no processor busy. NULL: there is `download` alone. */
	void (*bring)(void **arrival, void *host, const void *from, size_t bytes);
	int (*is_brought)(void *arrival);
	void (*brought)(void *arrival);
	void (*forget_arrival)(void *arrival); /* waits as well */
};

#endif
