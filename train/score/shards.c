#include "train/score/shards.h"

#include <stdlib.h>

#include "rebalance/base/compare.h"
#include "rebalance/base/error.h"
#include "rebalance/base/memory.h"
#include "rebalance/base/random.h"

struct card {
	uint64_t key;
	int64_t id;
};

static int by_key(const void *a, const void *b)
{
	const struct card *x = a, *y = b;

	if (x->key != y->key)
		return x->key < y->key ? -1 : 1;
	return (x->id > y->id) - (x->id < y->id);
}

int ek_shards(int64_t *order, uint64_t *first, uint64_t images, uint64_t shards, uint64_t seed)
{
	const uint64_t stream = ek_random_stream("shards");
	struct card *cards = NULL;
	int rc;

	EK_TRY(ek_alloc(&cards, images, sizeof *cards));
	for (uint64_t i = 0; i < images; i++)
		cards[i] = (struct card){ ek_random_u64(seed, stream, i), (int64_t)i };
	qsort(cards, images, sizeof *cards, by_key);
	for (uint64_t i = 0; i < images; i++)
		order[i] = cards[i].id;
	for (uint64_t s = 0; s <= shards; s++)
		first[s] = images / shards * s + (s < images % shards ? s : images % shards);
	for (uint64_t s = 0; s < shards; s++)
		qsort(order + first[s], first[s + 1] - first[s], sizeof *order, ek_compare_i64);
out:
	free(cards);
	return rc;
}
